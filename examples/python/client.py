"""A client of the server in Python: lists pools, scales one, runs a payload, and shows how errors look.

    python3 examples/python/client.py 127.0.0.1:6002 echo

Needs grpcio and protobuf (Debian: python3-grpcio python3-protobuf) and the generated code: see buf.gen.yaml beside it.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))

import grpc
from roadrunner.dispatch.v1 import dispatch_service_pb2, dispatch_service_pb2_grpc, payload_pb2
from roadrunner.pool.v1 import pool_service_pb2, pool_service_pb2_grpc

address, pool = sys.argv[1:3]

with grpc.insecure_channel(address) as channel:
    pools = pool_service_pb2_grpc.PoolServiceStub(channel)
    dispatch = dispatch_service_pb2_grpc.DispatchServiceStub(channel)

    for one in pools.ListPools(pool_service_pb2.ListPoolsRequest(), timeout=5).pools:
        print(f"pool {one.name}: {one.workers_ready} workers ready")

    request = pool_service_pb2.ScalePoolRequest(pool=pool, workers=3)
    scaled = pools.ScalePool(request, timeout=30).pool
    print(f"scaled {scaled.name} to {scaled.workers_wanted}")

    payload = payload_pb2.Payload(context=b"{}", body=b"hello from Python", codec=payload_pb2.CODEC_RAW)
    reply = dispatch.Dispatch(dispatch_service_pb2.DispatchRequest(pool=pool, payload=payload), timeout=5)
    print(f"worker {reply.pid} answered: {reply.payload.body.decode()}")

    try:
        pools.GetPool(pool_service_pb2.GetPoolRequest(pool="nowhere"), timeout=5)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
