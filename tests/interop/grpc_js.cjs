// Talks to a server with @grpc/grpc-js: node grpc_js.cjs ADDRESS PROTO. Prints JSON.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, proto] = process.argv.slice(2);
const definition = loader.loadSync(proto, { keepCase: true, longs: Number });
const { inference } = grpc.loadPackageDefinition(definition);
const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());

function step(sequence, token, flags) {
  const content = Buffer.alloc(8);
  content.writeBigInt64LE(BigInt(token));
  const parameters = { sequence_id: { int64_param: sequence } };
  for (const name of flags) parameters[name] = { bool_param: true };
  return {
    model_name: "tiny",
    id: `${sequence}/${token}`,
    parameters,
    inputs: [{ name: "token", datatype: "INT64", shape: [1, 1] }],
    raw_input_contents: [content],
  };
}

function unary(method, request) {
  return new Promise((resolve, reject) =>
    client[method](request, (error, answer) => (error ? reject(error) : resolve(answer)))
  );
}

function logits(answer) {
  const raw = answer.raw_output_contents[0];
  return Array.from({ length: raw.length / 4 }, (_, n) => raw.readFloatLE(4 * n));
}

async function overStream(tokens) {
  const call = client.ModelStreamInfer();
  const answers = [];
  const done = new Promise((resolve, reject) => {
    call.on("data", (message) => {
      if (message.error_message) return reject(new Error(message.error_message));
      answers.push(message.infer_response);
    });
    call.on("end", () => resolve(answers));
    call.on("error", reject);
  });
  tokens.forEach((token, n) =>
    call.write(step(2, token, n ? (n === tokens.length - 1 ? ["sequence_end"] : []) : ["sequence_start"]))
  );
  call.end();
  return done;
}

(async () => {
  const metadata = await unary("ModelMetadata", { name: "tiny" });
  const single = [
    await unary("ModelInfer", step(1, 3, ["sequence_start"])),
    await unary("ModelInfer", step(1, 4, ["sequence_end"])),
  ];
  const streamed = await overStream([3, 4]);
  console.log(
    JSON.stringify({
      name: metadata.name,
      inputs: metadata.inputs.map((input) => input.name),
      ids: streamed.map((answer) => answer.id),
      unary: single.map(logits),
      streamed: streamed.map(logits),
    })
  );
  client.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
