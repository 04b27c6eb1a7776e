"""A naive server of the same bundles, to measure against. FROZEN: it is never tuned or changed.

It is what a competent engineer writes in an hour with grpc.aio and ONNX Runtime: the same
float32 graphs and tokenizers, the same contract, one `session.run` for each token or text,
a message for each token, a text at its exact length, and no batching. Nothing in it is
slow on purpose.

`blocking` runs the graph in the event loop, `executor` in the loop's default thread pool.
Ratios are taken against whichever of the two is better in each measurement. Sessions run
on one intra-op thread: ONNX Runtime's default, a thread for each core, was tried and was
slower for both variants (docs/performance.md has the figures).
"""
