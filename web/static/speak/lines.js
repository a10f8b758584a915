// The lines that ask for the same from a program: curl in a shell, and Python.

const PATH = "/api/voice/synthesize?wait=60";

/** Gives a command for a POSIX shell; the key is in the environment. */
export function curlLines(request) {
  return [
    `curl --fail-with-body ${quoted(location.origin + PATH)} \\`,
    `  --header "Authorization: Bearer $VOICEFARM_KEY" \\`,
    `  --json ${quoted(JSON.stringify(request))} \\`,
    `  --output ${fileName(request)}`,
  ].join("\n");
}

/** Gives a program for Python with the library requests. */
export function pythonLines(request) {
  return [
    "import os",
    "import requests",
    "",
    "answer = requests.post(",
    `    ${JSON.stringify(location.origin + PATH)},`,
    `    headers={"Authorization": f"Bearer {os.environ['VOICEFARM_KEY']}"},`,
    `    json=${JSON.stringify(request)},`,
    ")",
    "answer.raise_for_status()",
    "if answer.status_code == 202:",
    `    raise SystemExit(f"Not spoken within a minute; ask for {answer.json()['id']} later.")`,
    `with open(${JSON.stringify(fileName(request))}, "wb") as file:`,
    "    file.write(answer.content)",
  ].join("\n");
}

export function fileName({ format = "wav" }) {
  return `speech.${format}`;
}

/** Quotes for a shell: nothing means anything between single quotes but the next one (POSIX 2.2.2). */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
