"""Drives an MCP server over stdio with the Python SDK, for a test.

    client.py PROGRAM [ARGUMENT…]

Starts that program once. Each line of standard input is a JSON object, and each is answered by one line of JSON:

    {"list": true}                   -> {"tools": [names]}
    {"tool": "name", "args": {…}}    -> {"is_error": bool, "text": str, "structured": object or null}
                                     or {"is_error": true, "text": str, "structured": null, "protocol": code}

The program is given `CLAVIGER_AGENT_SOCKET` and `CLAVIGER_FOLDER` of this process's environment, and otherwise what the SDK gives it.
"""

import asyncio
import json
import os
import sys

from mcp import Client, MCPError, StdioServerParameters


async def answer(client: Client, line: str) -> dict:
    """What one line comes to."""
    asked = json.loads(line)
    if asked.get("list"):
        names, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return {"tools": names}
    try:
        result = await client.call_tool(asked["tool"], asked["args"])
    except MCPError as error:
        return {"is_error": True, "text": error.message, "structured": None, "protocol": error.code}
    texts = [block.text for block in result.content if block.type == "text"]
    return {
        "is_error": bool(result.is_error),
        "text": "\n".join(texts),
        "structured": result.structured_content,
    }


async def main() -> None:
    program, *arguments = sys.argv[1:]
    environment = {name: os.environ[name] for name in ("CLAVIGER_AGENT_SOCKET", "CLAVIGER_FOLDER")}
    server = StdioServerParameters(command=program, args=arguments, env=environment)
    async with Client(server) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(client, line)), flush=True)


asyncio.run(main())
