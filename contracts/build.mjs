// Compiles every contract in src/ with the pinned solc, without network, and writes artifacts/NAME.json; with
// --check it compares instead and fails when a committed artifact is not what the sources give.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const CONTRACTS = [
  "DataCoin",
  "DataLicense",
  "DataLicenseFactory",
  "EventDelivery",
  "Karma",
  "LaneFees",
  "NetworkCoordinator",
  "Stream",
  "StreamRegistry",
  // For tests only: nothing deploys these but tests.
  "testing/HostileSubscriber",
  "testing/HostileToken",
  "testing/TokenReceiver",
];
const RUNTIME_LIMIT_BYTES = 24576; // EIP-170
const INITCODE_LIMIT_BYTES = 49152; // EIP-3860
const FUTURE_KEYWORD = "6335";

let solc;
try {
  solc = createRequire(import.meta.url)("solc");
} catch {
  fail("solc is not installed: run `npm ci` in contracts/ first");
}
const pinned = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).devDependencies.solc;
if (!solc.version().startsWith(`${pinned}+`)) {
  fail(`solc ${solc.version()} is installed but package.json pins ${pinned}: run \`npm ci\``);
}

const settings = {
  // One run, that is for size: the coordinator must stay within EIP-170.
  optimizer: { enabled: true, runs: 1 },
  viaIR: true,
  evmVersion: "cancun",
  // Without a metadata hash the bytecode depends on code alone, not on comments or paths.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: {
    "*": { "*": ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] },
  },
};

const sources = readSources("src");
const output = compile(sources);
const artifacts = new Map(CONTRACTS.map((name) => [name, artifact(name, output)]));
process.argv.includes("--check") ? check(artifacts) : write(artifacts);

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

function readSources(folder) {
  const found = {};
  const entries = readdirSync(join(here, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) Object.assign(found, readSources(path));
    else if (path.endsWith(".sol")) found[path] = { content: readFileSync(join(here, path), "utf8") };
  }
  return found;
}

function findImport(path) {
  const file = join(here, "node_modules", path);
  if (!path.startsWith("@openzeppelin/") || !existsSync(file)) {
    return { error: `${path} not found: run \`npm ci\`` };
  }
  const content = readFileSync(file, "utf8");
  sources[path] = { content };
  return { contents: content };
}

function compile(own) {
  const input = { language: "Solidity", sources: { ...own }, settings };
  const result = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  // "leave" and "at" may become keywords of a later version; the pinned compiler takes them as names.
  const problems = (result.errors ?? []).filter(({ errorCode }) => errorCode !== FUTURE_KEYWORD);
  for (const problem of problems) console.error(problem.formattedMessage);
  if (problems.length > 0) fail(`solc reported ${problems.length} error(s) or warning(s); both must be none`);
  return result;
}

// Over the contract's own sources, imports included, and how they were compiled.
function sourceHash({ metadata }) {
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ compiler: solc.version().replace(/\.Emscripten.*/, ""), settings }));
  const used = Object.keys(JSON.parse(metadata).sources);
  for (const path of used.sort()) hash.update(`\n${path}\n${sources[path].content}`);
  return `0x${hash.digest("hex")}`;
}

function artifact(path, { contracts }) {
  const name = basename(path);
  const compiled = contracts[`src/${path}.sol`]?.[name];
  if (!compiled) fail(`src/${path}.sol has no contract ${name}`);
  const bytecode = `0x${compiled.evm.bytecode.object}`;
  const deployedBytecode = `0x${compiled.evm.deployedBytecode.object}`;
  checkSize(name, "deployed code", deployedBytecode, RUNTIME_LIMIT_BYTES);
  checkSize(name, "creation code", bytecode, INITCODE_LIMIT_BYTES);
  const value = {
    contractName: name,
    ...(path.startsWith("testing/") ? { testOnly: true } : {}),
    abi: compiled.abi,
    bytecode,
    deployedBytecode,
    storageLayout: tidyLayout(compiled.storageLayout),
    sourceHash: sourceHash(compiled),
  };
  return `${JSON.stringify(value, null, 1)}\n`;
}

function checkSize(name, what, hex, limit) {
  const bytes = (hex.length - 2) / 2;
  if (bytes > limit) fail(`${name}: ${what} has ${bytes} bytes, the limit is ${limit}`);
  console.log(`${name}: ${what} ${bytes} bytes of ${limit}`);
}

// Syntax tree ids are taken out: they change with any edit anywhere, the layout does not.
function tidyLayout(layout) {
  const stable = (type) => type.replace(/\)\d+(?=_|$|,|\))/g, ")");
  const variable = ({ label, offset, slot, type }) => ({ label, offset, slot, type: stable(type) });
  const types = {};
  for (const [type, about] of Object.entries(layout.types ?? {})) {
    const tidy = { label: about.label, numberOfBytes: about.numberOfBytes };
    if (about.members) tidy.members = about.members.map(variable);
    types[stable(type)] = tidy;
  }
  return { storage: layout.storage.map(variable), types };
}

function write(all) {
  mkdirSync(join(here, "artifacts", "testing"), { recursive: true });
  for (const [name, text] of all) writeFileSync(join(here, "artifacts", `${name}.json`), text);
}

function check(all) {
  const stale = [];
  for (const [name, text] of all) {
    const file = join(here, "artifacts", `${name}.json`);
    if (!existsSync(file) || readFileSync(file, "utf8") !== text) stale.push(`artifacts/${name}.json`);
  }
  if (stale.length > 0) {
    const files = stale.join(", ");
    fail(`not what the sources give: ${files}. Run \`npm run build\` in contracts/ and commit the result`);
  }
  console.log("artifacts are current");
}
