"""MLServer: a custom runtime, as its guide shows it; numbers by NumpyCodec, raw ones in base64."""

from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.peers.model import Model


class Predictions(MLModel):
    """One model."""

    async def load(self) -> bool:
        """Load the model, in each worker."""
        self._model = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer in the codec of the request."""
        (given,) = payload.inputs
        if given.datatype == "BYTES":
            (body,) = Base64Codec.decode_input(given)
            answer = Base64Codec.encode_output("predictions", [self._model.predict_raw(body)])
        else:
            values = self._model.predict(NumpyCodec.decode_input(given))
            answer = NumpyCodec.encode_output("predictions", values)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[answer])
