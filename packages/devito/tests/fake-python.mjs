#!/usr/bin/env node
/**
 * What stands in for a Python with Devito, as INVNET_FAKE_DEVITO says: a recorded exchange (`replay`), what records one
 * of a real Python (`record`), or one of the ways in which a process disappoints.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const { mode, exchange, python, pidFile } = JSON.parse(process.env.INVNET_FAKE_DEVITO);
if (pidFile) writeFileSync(pidFile, String(process.pid));
if (mode === 'record') record();
else answerAll();

/** Hands everything through, and writes both sides into a file. */
function record() {
  const child = spawn(python, process.argv.slice(2), { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = { questions: [], answers: [] };
  process.stdin.on('data', (part) => said.questions.push(part)).pipe(child.stdin);
  child.stdout.on('data', (part) => {
    said.answers.push(part);
    const text = (parts) => Buffer.concat(parts).toString('base64');
    const file = { questions: text(said.questions), answers: text(said.answers) };
    writeFileSync(exchange, `${JSON.stringify(file, null, 2)}\n`);
    process.stdout.write(part);
  });
}

function answerAll() {
  const recorded = mode === 'replay' ? JSON.parse(readFileSync(exchange, 'utf8')) : undefined;
  const questions = recorded && frames(Buffer.from(recorded.questions, 'base64'));
  const answers = recorded && frames(Buffer.from(recorded.answers, 'base64'));
  let said = Buffer.alloc(0);
  process.stdin.on('data', (part) => {
    said = Buffer.concat([said, part]);
    for (let frame = firstOf(said); frame; frame = firstOf(said)) {
      said = said.subarray(frame.bytes.length);
      answer(frame);
    }
  });

  function answer(question) {
    if (recorded) {
      const [expected, next] = [questions.shift(), answers.shift()];
      if (same(question, expected)) process.stdout.write(next.bytes);
      else send({ error: `the recording has ${expected?.header}, not ${question.header}` });
    } else if (mode === 'absent') send({ protocol: 1, missing: "No module named 'devito'" });
    else if (mode === 'foreign') send({ protocol: 7 });
    else if (question.header.includes('"hello"')) {
      send({ protocol: 1, devito: '4.8', numpy: '2.4', python: '3.11' });
    } else if (mode === 'fails') send({ error: 'ValueError: no', trace: 'Traceback: line 1' });
    else if (mode === 'babbles') process.stdout.write('Operator `Model` ran in 0.01 s\n');
    else if (mode === 'dies') {
      process.stderr.write('Segmentation fault\n', () => process.exit(11));
    } else send({});
  }
}

function send(header) {
  const text = Buffer.from(JSON.stringify({ ...header, arrays: [] }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  process.stdout.write(Buffer.concat([length, text]));
}

function frames(bytes) {
  const all = [];
  let rest = bytes;
  for (let frame = firstOf(rest); frame; frame = firstOf(rest)) {
    all.push(frame);
    rest = rest.subarray(frame.bytes.length);
  }
  return all;
}

/** The frame that the bytes begin with, if it is whole. */
function firstOf(bytes) {
  if (bytes.length < 4) return undefined;
  const start = 4 + bytes.readUInt32LE(0);
  if (bytes.length < start) return undefined;
  const header = bytes.subarray(4, start).toString();
  const end = start + 4 * JSON.parse(header).arrays.reduce((sum, n) => sum + n, 0);
  return bytes.length < end ? undefined : { header, start, bytes: bytes.subarray(0, end) };
}

/** The same question, with numbers that are the same to rounding? */
function same(question, expected) {
  if (question.header !== expected?.header) return false;
  for (let at = question.start; at < question.bytes.length; at += 4) {
    const [a, b] = [question.bytes.readFloatLE(at), expected.bytes.readFloatLE(at)];
    if (!(Math.abs(a - b) <= 1e-5 * (1 + Math.abs(b)))) return false;
  }
  return true;
}
