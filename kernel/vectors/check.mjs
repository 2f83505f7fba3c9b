// Checks batch.json against an independent implementation: EIP-712, ABI encoding and signatures by ethers, hashes
// by Node's crypto, the rest written here from the specification in kernel/src/batch/mod.rs.
//
//   cd "$(mktemp -d)" && npm install ethers@6 && cp .../kernel/vectors/{check.mjs,batch.json} . && node check.mjs
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { strict as assert } from "node:assert";
import { AbiCoder, TypedDataEncoder, Wallet, keccak256, verifyTypedData } from "ethers";

const { chain_id, secret_key, session_key, batches, partition_keys } = JSON.parse(readFileSync("batch.json", "utf8"));
const wallet = new Wallet(secret_key);
const sessionWallet = new Wallet(session_key);
const bytes = (hex) => Buffer.from(hex.slice(2), "hex");
const hex = (buffer) => "0x" + Buffer.from(buffer).toString("hex");
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const integer = (value, length) => bytes("0x" + BigInt(value).toString(16).padStart(2 * length, "0"));

const types = {
  Batch: [
    ["uint8", "version"], ["address", "stream"], ["uint32", "streamPartition"], ["uint8", "originType"],
    ["address", "origin"], ["uint64", "openingBlock"], ["bytes16", "nonce"], ["uint64", "sequence"],
    ["uint32", "count"], ["uint64", "volume"], ["uint64", "firstTime"], ["uint64", "lastTime"],
    ["bytes32", "previous"], ["bytes32", "root"], ["address", "signer"], ["bytes32", "certificate"],
    ["uint8", "signatureType"],
  ].map(([type, name]) => ({ type, name })),
};

const sessionTypes = {
  Session: [
    ["address", "stream"], ["address", "origin"], ["address", "key"], ["uint64", "expiryBlock"],
    ["uint8", "signatureType"],
  ].map(([type, name]) => ({ type, name })),
};

// The certificate of a batch: what the wallet signs, and its bytes after the batch's signature.
async function certificate(domain, h, session) {
  if (session === undefined) {
    assert.equal(h.signer, h.origin);
    assert.equal(BigInt(h.certificate), 0n);
    return Buffer.alloc(0);
  }
  const { expiryBlock, signatureType, signature } = session;
  const signed = { stream: h.stream, origin: h.origin, key: h.signer, expiryBlock, signatureType };
  assert.equal(TypedDataEncoder.from(sessionTypes).hashStruct("Session", signed), h.certificate);
  assert.equal(session.digest, h.certificate);
  assert.equal(TypedDataEncoder.hash(domain, sessionTypes, signed), session.signingHash);
  assert.equal(await wallet.signTypedData(domain, sessionTypes, signed), signature);
  assert.equal(verifyTypedData(domain, sessionTypes, signed, signature).toLowerCase(), h.origin);
  assert.ok(BigInt(h.openingBlock) < BigInt(expiryBlock));
  const bare = bytes(signature);
  return Buffer.concat([integer(expiryBlock, 8), integer(signatureType, 1), integer(bare.length, 1), bare]);
}

// RFC 9162 section 2.1.1, recursively.
function root(leaves) {
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Buffer.from([1]), root(leaves.slice(0, split)), root(leaves.slice(split)));
}

// RFC 9162 section 2.1.3.2.
function rootFromPath(leaf, index, count, path) {
  let [fn, sn, r] = [index, count - 1, leaf];
  for (const p of path) {
    assert(sn > 0, "the path is too long");
    if (fn % 2 === 1 || fn === sn) {
      r = sha256(Buffer.from([1]), p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn >> 1, sn >> 1];
    } else {
      r = sha256(Buffer.from([1]), r, p);
    }
    [fn, sn] = [fn >> 1, sn >> 1];
  }
  assert.equal(sn, 0, "the path is too short");
  return r;
}

const encodeHeader = (h) => Buffer.concat([
  integer(h.version, 1), bytes(h.stream), integer(h.streamPartition, 4), integer(h.originType, 1),
  bytes(h.origin), integer(h.openingBlock, 8), bytes(h.nonce), integer(h.sequence, 8), integer(h.count, 4),
  integer(h.volume, 8), integer(h.firstTime, 8), integer(h.lastTime, 8), bytes(h.previous), bytes(h.root),
  bytes(h.signer), bytes(h.certificate), integer(h.signatureType, 1),
]);

const encodeEvent = (e) => Buffer.concat([
  integer(e.timestamp, 8), integer(e.contentType, 1), integer(e.encryptionType, 1),
  integer(bytes(e.keyId).length, 1), bytes(e.keyId), integer(bytes(e.content).length, 4), bytes(e.content),
]);

const leaf = (sequence, encoded) => sha256(Buffer.from([0]), integer(sequence, 8), encoded);

for (const batch of batches) {
  const { header: h, proof } = batch;
  const domain = { name: "weir", version: "1", chainId: BigInt(chain_id), verifyingContract: h.stream };
  const encoder = TypedDataEncoder.from(types);

  const laneTypes = ["address", "uint32", "uint8", "address", "uint64", "bytes16"];
  const lane = [h.stream, h.streamPartition, h.originType, h.origin, h.openingBlock, h.nonce];
  assert.equal(keccak256(AbiCoder.defaultAbiCoder().encode(laneTypes, lane)), batch.lane);
  assert.equal(encoder.hashStruct("Batch", h), batch.digest);
  assert.equal(TypedDataEncoder.hashDomain(domain), batch.domainSeparator);
  assert.equal(TypedDataEncoder.hash(domain, types, h), batch.signingHash);
  if (h.signatureType === 1) {
    const signer = batch.session === undefined ? wallet : sessionWallet;
    assert.equal(await signer.signTypedData(domain, types, h), batch.signature);
    assert.equal(verifyTypedData(domain, types, h, batch.signature).toLowerCase(), h.signer);
  } else {
    assert.equal(h.signatureType, 0xf0);
    const keyed = sha256(Buffer.from("weir simulation"), bytes(h.signer), bytes(batch.signingHash));
    assert.equal(hex(keyed), batch.signature);
  }

  const encoded = batch.events.map(encodeEvent);
  const leaves = encoded.map((event, index) => leaf(BigInt(h.sequence) + BigInt(index), event));
  assert.equal(hex(root(leaves)), h.root);
  assert.equal(hex(encoded[proof.index]), proof.event);
  assert.equal(hex(rootFromPath(leaves[proof.index], proof.index, proof.count, proof.path.map(bytes))), h.root);
  const signature = bytes(batch.signature);
  const shown = Buffer.concat([signature, await certificate(domain, h, batch.session)]);
  const whole = Buffer.concat([encodeHeader(h), integer(signature.length, 1), shown, ...encoded]);
  assert.equal(hex(whole), batch.bytes);
}

for (const { key, count, partition } of partition_keys) {
  assert.equal(Number(sha256(bytes(key)).readBigUInt64BE() % BigInt(count)), partition);
}

console.log(`${batches.length} batches and ${partition_keys.length} partition keys agree`);
