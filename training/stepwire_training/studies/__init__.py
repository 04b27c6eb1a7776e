"""Small experiments on what training does to recurrent networks; docs/lectures/ tells of them."""
