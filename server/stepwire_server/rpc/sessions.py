"""SessionService: sessions are opened, exported, rolled back, listed and closed."""

from typing import Any

from stepwire.v1 import sessions_pb2 as pb
from stepwire.v1 import sessions_pb2_grpc as pb_grpc
from stepwire_server.errors import InvalidRequest
from stepwire_server.rpc.caller import CALLER, owner
from stepwire_server.rpc.session_messages import opening, session_message
from stepwire_server.sessions.desk import Desk


class SessionServicer(pb_grpc.SessionServiceServicer):
    """Translates between the wire and the desk, and decides nothing itself."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def OpenSession(
        self, request: pb.OpenSessionRequest, context: Any
    ) -> pb.OpenSessionResponse:
        """Begins a session."""
        session = await self._desk.open(owner(context), opening(request, self._desk.limits))
        return pb.OpenSessionResponse(session=session_message(session, self._desk))

    async def ExportSession(
        self, request: pb.ExportSessionRequest, context: Any
    ) -> pb.ExportSessionResponse:
        """Seals a session's state into a token."""
        token, next_step = self._desk.export(
            owner(context), request.session_id, half=request.half_precision
        )
        return pb.ExportSessionResponse(
            state_token=token, next_step=next_step, seconds_left=self._desk.limits.token_s
        )

    async def RollBackSession(
        self, request: pb.RollBackSessionRequest, context: Any
    ) -> pb.RollBackSessionResponse:
        """Takes a session back to a snapshot."""
        session = self._desk.roll_back(owner(context), request.session_id, request.step)
        return pb.RollBackSessionResponse(session=session_message(session, self._desk))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Any
    ) -> pb.ListSessionsResponse:
        """Lists the caller's own sessions."""
        caller = owner(context)
        if not caller:
            # Whoever knows an id may use it: nobody is shown those of everybody.
            allowed = "say in metadata who asks, as when the sessions were opened"
            raise InvalidRequest.of(CALLER, allowed, "nothing")
        sessions = [session_message(s, self._desk) for s in self._desk.of_owner(caller)]
        return pb.ListSessionsResponse(sessions=sessions)

    async def CloseSession(
        self, request: pb.CloseSessionRequest, context: Any
    ) -> pb.CloseSessionResponse:
        """Ends a session."""
        self._desk.close(owner(context), request.session_id)
        return pb.CloseSessionResponse()
