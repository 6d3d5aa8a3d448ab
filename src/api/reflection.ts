import { createRegistry, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Status } from "nice-grpc-common";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import type { ServerReflectionRequest } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { requireDecoded } from "../grpc/service-definition.ts";

/**
 * Server reflection over the generated descriptors, for grpcurl and the like. Versions 1 and 1alpha differ in nothing
 * but the name of the package.
 */
export function reflectionService(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  const collect = (file: DescFile) => {
    if (files.has(protoName(file))) return;
    files.set(protoName(file), file);
    file.dependencies.forEach(collect);
  };
  for (const service of services) collect(service.file);
  // No service mentions the details of errors, but clients want to read them.
  collect(file_google_rpc_error_details);
  const registry = createRegistry(...files.values());

  const answer = ({ messageRequest }: ServerReflectionRequest) => {
    switch (messageRequest.case) {
      case "listServices":
        return {
          case: "listServicesResponse" as const,
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return fileResponse(files.get(messageRequest.value), messageRequest.value);
      case "fileContainingSymbol": {
        const symbol = messageRequest.value;
        // Methods and fields are found by the service or message that they belong to.
        const found = registry.get(symbol) ?? registry.get(symbol.slice(0, Math.max(0, symbol.lastIndexOf("."))));
        return fileResponse(found && "file" in found ? found.file : undefined, symbol);
      }
      default:
        return notFound(messageRequest.case ?? "an empty request", Status.UNIMPLEMENTED);
    }
  };
  return {
    async *serverReflectionInfo(requests: AsyncIterable<ServerReflectionRequest>) {
      for await (const request of requests) {
        requireDecoded(request);
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
      }
    },
  };
}

function protoName(file: DescFile): string {
  return file.proto.name;
}

function fileResponse(file: DescFile | undefined, wanted: string) {
  if (!file) return notFound(wanted, Status.NOT_FOUND);
  const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
  return { case: "fileDescriptorResponse" as const, value: { fileDescriptorProto: [bytes] } };
}

function notFound(wanted: string, errorCode: Status) {
  return { case: "errorResponse" as const, value: { errorCode, errorMessage: `not known: ${wanted}` } };
}
