import { afterAll, describe, expect, test } from "bun:test"
import { createServer, type Server } from "node:net"
import { liveTransport } from "../../../src/adapters/arctic/live-transport.ts"
import { installScopedFetch, withinFetch } from "../../../src/adapters/arctic/scoped-fetch.ts"
import { type ProviderRequest, TransportFault } from "../../../src/ports/transport.ts"

const paths: string[] = []
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname } = new URL(request.url)
    paths.push(pathname)
    if (pathname === "/echo") {
      const said = { headers: request.headers.toJSON(), method: request.method, body: await request.text() }
      return Response.json(said, { headers: { "X-Trace": "t1" } })
    }
    if (pathname === "/moved") return new Response("gone", { status: 302, headers: { location: "/echo" } })
    if (pathname === "/slow") await Bun.sleep(500)
    if (pathname === "/drip") return new Response(drip())
    if (pathname === "/exact") return new Response("é".repeat(50))
    if (pathname === "/bomb") {
      const body = Bun.gzipSync(new Uint8Array(1_000_000))
      return new Response(body, { headers: { "content-encoding": "gzip" } })
    }
    return new Response("{}")
  },
})
afterAll(() => server.stop(true))

function drip(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(20)
      controller.enqueue(new Uint8Array([32]))
    },
  })
}

const transport = liveTransport({ allowInsecureLoopback: true })
const base = server.url.origin
const get = (url: string): ProviderRequest => ({ method: "GET", url, headers: {}, body: null })
const limits = (changes: { timeoutMs?: number; maxBytes?: number } = {}) => ({
  timeoutMs: 2_000,
  maxBytes: 1_000,
  ...changes,
})
const fault = async (...call: Parameters<typeof transport>) => {
  const outcome = await transport(...call).catch((error: unknown) => error)
  if (outcome instanceof TransportFault) return outcome
  throw new Error(`no fault: ${JSON.stringify(outcome)}`)
}

test("a request arrives as it was given, asks for no compression, and its answer comes whole", async () => {
  const headers = { "content-type": "application/x-www-form-urlencoded", authorization: "Basic made-up" }
  const answer = await transport({ method: "POST", url: `${base}/echo`, headers, body: "a=b" }, limits())
  expect(answer.status).toBe(200)
  expect(answer.headers["x-trace"]).toBe("t1")
  const seen = JSON.parse(answer.body)
  expect(seen).toMatchObject({ method: "POST", body: "a=b" })
  expect(seen.headers).toMatchObject({ ...headers, "accept-encoding": "identity" })
})

test("a redirect is an answer", async () => {
  paths.length = 0
  const answer = await transport(get(`${base}/moved`), limits())
  expect([answer.status, answer.headers.location, answer.body]).toEqual([302, "/echo", "gone"])
  expect(paths).toEqual(["/moved"])
})

test("the time limit covers the wait for headers and the reading of the body", async () => {
  expect((await fault(get(`${base}/slow`), limits({ timeoutMs: 60 }))).kind).toBe("timeout")
  expect((await fault(get(`${base}/drip`), limits({ timeoutMs: 60 }))).kind).toBe("timeout")
})

test("as many bytes as allowed are read and not one more, counted as they come out of compression", async () => {
  expect((await transport(get(`${base}/exact`), limits({ maxBytes: 100 }))).body).toBe("é".repeat(50))
  expect((await fault(get(`${base}/exact`), limits({ maxBytes: 99 }))).kind).toBe("too_large")
  expect((await fault(get(`${base}/bomb`), limits({ maxBytes: 50_000 }))).kind).toBe("too_large")
})

describe("only TLS is spoken", () => {
  const closed = liveTransport()
  test.each([
    "http://127.0.0.1:9/x",
    "http://localhost/x",
    "file:///etc/hostname",
    "data:text/plain,hello",
    "s3://bucket/key",
    "not a url",
    " https://connect.acme.example/",
    "https:/connect.acme.example/",
  ])("%s is not reached", async (url) => {
    const error = await closed(get(url), limits()).catch((error: unknown) => error)
    expect(error).toMatchObject({ name: "TransportFault", kind: "unreachable", cause: "InsecureAddress" })
  })

  test("the loopback switch opens loopback alone", async () => {
    for (const url of [
      "http://127.0.0.2/x",
      "http://connect.acme.example/",
      "http://127.0.0.1.acme.example/",
      "http://127.0.0.1@acme.example/",
      "http://127.0.0.1:80@acme.example/",
      "http://[::1].acme.example/",
      "http://localhost\\@acme.example/",
    ]) {
      expect((await fault(get(url), limits())).cause).toBe("InsecureAddress")
    }
  })
})

test("a fault tells its kind and a code, never the address, which may carry a secret", async () => {
  const error = await fault(get("http://127.0.0.1:1/?client_secret=made-up-secret"), limits())
  expect([error.kind, error.cause]).toEqual(["unreachable", "ECONNREFUSED"])
  expect(Bun.inspect(error)).not.toContain("made-up-secret")
})

/** Answers the first request of all, and breaks off whatever connection brings the second. */
async function flakyServer() {
  const seen = { requests: 0, connections: 0 }
  const server = createServer((socket) => {
    seen.connections++
    socket.on("error", () => {})
    socket.on("data", (data) => {
      seen.requests += data.toString().split(" HTTP/1.1").length - 1
      if (seen.requests > 1) socket.destroy()
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    })
  })
  return { seen, url: await listening(server), close: () => server.close() }
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready))
  const address = server.address()
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/token`
}

test.each([
  ["a POST", { method: "POST", body: "code=made-up" }],
  ["a GET that exchanges the token in its address", { method: "GET", body: null }],
  [
    "a DELETE, even one that may use a kept one",
    { method: "DELETE", body: null, mayUseKeptConnection: true },
  ],
] as const)(
  "%s is never sent again, and has a connection of its own that cannot have died before",
  async (_, how) => {
    const { seen, url, close } = await flakyServer()
    const request: ProviderRequest = { ...how, url, headers: {} }
    expect((await transport(request, limits())).body).toBe("{}")
    expect(await fault(request, limits())).toMatchObject({ kind: "unreachable", unsent: false })
    await Bun.sleep(50)
    expect(seen).toEqual({ requests: 2, connections: 2 })
    close()
  },
)

test("a POST that may use a kept connection is lost with it and never sent again", async () => {
  const { seen, url, close } = await flakyServer()
  const request: ProviderRequest = {
    method: "POST",
    body: "code=made-up",
    url,
    headers: {},
    mayUseKeptConnection: true,
  }
  expect((await transport(request, limits())).body).toBe("{}")
  expect(await fault(request, limits())).toMatchObject({ kind: "unreachable", unsent: false })
  await Bun.sleep(50)
  expect(seen).toEqual({ requests: 2, connections: 1 })
  close()
})

describe("no body is read beyond the bound, whatever its head says of it", () => {
  const maxBytes = 50_000
  const long = Buffer.alloc(1_000_000, "a")
  const zipped = Bun.gzipSync(new Uint8Array(1_000_000))
  const inChunks = [`${long.length.toString(16)}\r\n`, long, "\r\n0\r\n\r\n"]

  test.each([
    ["a short length beside chunks", ["content-length: 10", "transfer-encoding: chunked"], inChunks],
    [
      "a short length before chunks in a list",
      ["content-length: 10", "transfer-encoding: identity, chunked"],
      inChunks,
    ],
    [
      "the length of what is compressed",
      [`content-length: ${zipped.length}`, "content-encoding: gzip"],
      [zipped],
    ],
    ["the same in another case", [`Content-Length: ${zipped.length}`, "Content-Encoding: GZIP"], [zipped]],
    ["chunks alone", ["transfer-encoding: chunked"], inChunks],
    ["an honest length", [`content-length: ${long.length}`], [long]],
    ["no length", ["connection: close"], [long]],
  ] as const)("%s", async (_, head, body) => {
    const { url, close } = await rawServer(head, body)
    expect((await fault(get(url), limits({ maxBytes }))).kind).toBe("too_large")
    close()
  })

  test.each([
    ["two lengths", ["content-length: 10", `content-length: ${long.length}`]],
    ["a length that is no number", ["content-length: 10abc"]],
    ["a length below nothing", ["content-length: -1"]],
  ] as const)("%s is no answer at all", async (_, head) => {
    const { url, close } = await rawServer(head, [long])
    expect((await fault(get(url), limits({ maxBytes }))).kind).toBe("unreachable")
    close()
  })

  test("of more than was promised only what was promised", async () => {
    const { url, close } = await rawServer(["content-length: 10"], [long])
    expect((await transport(get(url), limits({ maxBytes }))).body).toBe("a".repeat(10))
    close()
  })

  test("less than was promised is a broken answer, and one that stops is a late one", async () => {
    const cut = await rawServer(["content-length: 100"], ["{}"], "then ends")
    expect((await fault(get(cut.url), limits())).kind).toBe("unreachable")
    cut.close()
    const stuck = await rawServer(["content-length: 100"], ["{}"])
    expect((await fault(get(stuck.url), limits({ timeoutMs: 60 }))).kind).toBe("timeout")
    stuck.close()
  })

  async function rawServer(
    head: readonly string[],
    body: readonly (string | Uint8Array)[],
    then: "then ends" | "then waits" = "then waits",
  ) {
    const server = createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", () => {
        socket.write(["HTTP/1.1 200 OK", ...head, "", ""].join("\r\n"))
        for (const part of body) socket.write(part)
        if (then === "then ends") socket.end()
      })
    })
    return { url: await listening(server), close: () => server.close() }
  }
})

test("a fault says that nothing left only where that is certain", async () => {
  expect((await fault(get("http://127.0.0.1:1/"), limits())).unsent).toBe(true)
  expect((await fault(get("http://connect.acme.example/"), limits())).unsent).toBe(true)
  expect((await fault(get("https://[no-address/"), limits())).unsent).toBe(true)
  expect((await fault(get(`${base}/slow`), limits({ timeoutMs: 60 }))).unsent).toBe(false)
  expect((await fault(get(`${base}/exact`), limits({ maxBytes: 9 }))).unsent).toBe(false)
})

test("the transport never finds the scope that it serves", async () => {
  const uninstall = installScopedFetch()
  const answer = await withinFetch(
    () => Promise.reject(new Error("found the scope")),
    () => transport(get(`${base}/x`), limits()),
  )
  expect(answer.body).toBe("{}")
  uninstall()
})

test("an answered call leaves nothing behind that keeps a process alive", async () => {
  const transportFile = new URL("../../../src/adapters/arctic/live-transport.ts", import.meta.url).pathname
  const script = `import { liveTransport } from ${JSON.stringify(transportFile)}
    const call = { method: "GET", url: ${JSON.stringify(`${base}/`)}, headers: {}, body: null }
    await liveTransport({ allowInsecureLoopback: true })(call, { timeoutMs: 30_000, maxBytes: 1000 })`
  const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "ignore", "inherit"] })
  const patience = Promise.withResolvers<string>()
  const timer = setTimeout(patience.resolve, 20_000, "still alive")
  expect(await Promise.race([child.exited, patience.promise])).toBe(0)
  clearTimeout(timer)
  child.kill()
})
