"""ForecastingService: histories in, what follows them out."""

from typing import Any

from stepwire.v1 import forecasting_pb2 as pb
from stepwire.v1 import forecasting_pb2_grpc as pb_grpc
from stepwire_server.registry.forecasting import ForecastingModel
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.rpc import forecast_messages
from stepwire_server.rpc.caller import deadline_of


class ForecastingServicer(pb_grpc.ForecastingServiceServicer):
    """Translates between the wire and the model, and decides nothing itself."""

    def __init__(self, models: ModelRegistry, max_inputs: int) -> None:
        self._models = models
        self._max_inputs = max_inputs

    async def Forecast(self, request: pb.ForecastRequest, context: Any) -> pb.ForecastResponse:
        """Predicts how every series of the call goes on."""
        async with self._models.use(request.model, request.version, ForecastingModel) as model:
            asked = forecast_messages.asked(request)
            forecasts = await model.forecast(
                forecast_messages.histories(request, self._max_inputs),
                asked,
                deadline_of(context),
            )
            return forecast_messages.response(forecasts, asked, model)
