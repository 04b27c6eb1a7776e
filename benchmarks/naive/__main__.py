"""Starts the naive server: `python -m benchmarks.naive --model-repository DIR`."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import grpc

from benchmarks.naive.models import Classifier, Generator
from benchmarks.naive.server import Generation, Labeling, Streaming, in_a_thread, in_the_loop
from benchmarks.naive.translator import Translator
from stepwire.v1 import (
    generation_pb2_grpc,
    labeling_pb2_grpc,
    sessions_pb2_grpc,
    streaming_pb2_grpc,
)
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.index import find_bundles

VARIANTS = {"blocking": in_the_loop, "executor": in_a_thread}


async def serve(repository: Path, variant: str, threads: int) -> None:
    """Serves until the process is ended."""
    generators, classifiers, translators = {}, {}, {}
    for location in find_bundles(repository):
        bundle = open_bundle(location.folder)
        if bundle.manifest.task == "generation":
            generators[location.name] = Generator(bundle, threads)
        elif bundle.manifest.task == "classification" and "sequence" in bundle.manifest.graphs:
            classifiers[location.name] = Classifier(bundle, threads)
        elif bundle.manifest.task == "translation" and Translator.knows(bundle):
            translators[location.name] = Translator(bundle, threads)
    server = grpc.aio.server()
    run = VARIANTS[variant]
    generation = Generation(generators, translators, run)
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(generation, server)
    labeling_pb2_grpc.add_LabelingServiceServicer_to_server(Labeling(classifiers, run), server)
    streaming = Streaming(generators, run)
    streaming_pb2_grpc.add_StreamingServiceServicer_to_server(streaming, server)
    sessions_pb2_grpc.add_SessionServiceServicer_to_server(streaming, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"event": "server ready", "grpc_port": port}), file=sys.stderr, flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naive")
    parser.add_argument("--model-repository", type=Path, required=True)
    parser.add_argument("--variant", choices=list(VARIANTS), default="blocking")
    parser.add_argument("--threads", type=int, default=1, help="0 is ONNX Runtime's default")
    flags = parser.parse_args()
    asyncio.run(serve(flags.model_repository, flags.variant, flags.threads))


if __name__ == "__main__":
    main()
