//! Unmodified MCP servers, of node and python, that answer from a cage.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use crate::rig::{PYTHON, Rig, rigs};

const HELLO_PYTHON: &str = r#"
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "initialize":
        r = {"protocolVersion": m["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "hello", "version": "1"}}
    elif m["method"] == "tools/list":
        r = {"tools": [{"name": "hello", "inputSchema": {"type": "object"}}]}
    elif m["method"] == "tools/call":
        r = {"content": [{"type": "text", "text": "hello from a cage"}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
"#;

const HELLO_NODE: &str = r#"
const rl = require('node:readline').createInterface({ input: process.stdin });
const { Worker } = require('node:worker_threads');
rl.on('line', (line) => {
  const m = JSON.parse(line);
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id: m.id, result }));
  if (m.method === 'initialize') say({ protocolVersion: m.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'hello', version: '1' } });
  if (m.method === 'tools/list') say({ tools: [{ name: 'hello', inputSchema: { type: 'object' } }] });
  // From a thread, after a file was written and read and a program run: what servers do.
  if (m.method === 'tools/call') {
    require('node:fs').writeFileSync('note', 'hello from ');
    const text = require('node:child_process').execFileSync('/bin/cat', ['note']).toString();
    new Worker(`require('node:worker_threads').parentPort.postMessage('a cage')`, { eval: true })
      .on('message', (rest) => say({ content: [{ type: 'text', text: text + rest }] }));
  }
});
"#;

const HELLO_SDK: &str = r#"
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
const server = new McpServer({ name: 'hello', version: '1' });
server.registerTool('hello', { description: 'says hello' }, async () => ({ content: [{ type: 'text', text: 'hello from a cage' }] }));
await server.connect(new StdioServerTransport());
"#;

fn answers(rig: &Rig, flags: &[&str], command: &[&str]) {
    let mut child = rig.cage(flags, command).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let client =
        r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}"#;
    let mut ask = |id: u32, method: &str, params: &str, wanted: &str| {
        writeln!(stdin, r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).unwrap();
        let Some(Ok(line)) = lines.next() else {
            let mut told = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut told).unwrap();
            panic!("no answer to {method} of {command:?} for {}: {told}", rig.who());
        };
        assert!(line.contains(wanted), "{line}");
    };
    ask(1, "initialize", client, "serverInfo");
    ask(2, "tools/list", "{}", r#""hello""#);
    ask(3, "tools/call", r#"{"name":"hello","arguments":{}}"#, "hello from a cage");
    drop(stdin);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn python_answers() {
    for rig in rigs() {
        answers(&rig, &[], &[PYTHON, "-c", HELLO_PYTHON]);
    }
}

#[test]
fn node_answers() {
    if !Path::new("/usr/bin/node").exists() && !Path::new("/usr/local/bin/node").exists() {
        return;
    }
    for rig in rigs() {
        let script = rig.place.path().join("server.js");
        fs::write(&script, HELLO_NODE).unwrap();
        crate::rig::open(&script, 0o644);
        let script = script.to_str().unwrap();
        answers(&rig, &["--code", script], &["node", script]);
    }
}

/// The SDK that servers are written with, where the peers of the tests were installed.
#[test]
fn node_answers_by_the_sdk() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/node_modules");
    let Ok(modules) = modules.canonicalize() else { return };
    for rig in rigs() {
        let code = rig.place.path().join("server");
        fs::create_dir(&code).unwrap();
        crate::rig::open(&code, 0o755);
        fs::write(code.join("server.mjs"), HELLO_SDK).unwrap();
        std::os::unix::fs::symlink(&modules, code.join("node_modules")).unwrap();
        let script = code.join("server.mjs");
        let flags = ["--code", code.to_str().unwrap(), "--code", modules.to_str().unwrap()];
        answers(&rig, &flags, &["node", script.to_str().unwrap()]);
    }
}
