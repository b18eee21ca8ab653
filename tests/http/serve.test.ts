import { afterEach, describe, expect, test } from "bun:test"
import { connect } from "node:net"
import type { Edge } from "../../src/adapters/http/edge.ts"
import { type Serving, serve } from "../../src/adapters/http/serve.ts"
import { upstreamAccount } from "../support/connect-world.ts"
import { type HttpWorld, httpWorld, newApp, returnUrl } from "../support/http-world.ts"

const running: Serving[] = []
afterEach(async () => {
  for (const serving of running.splice(0)) await serving.stop()
})

function served(
  edge: Edge,
  options: { readonly trustedProxies?: number; readonly port?: number } = {},
): Serving {
  const serving = serve(edge, { host: "127.0.0.1", port: 0, trustedProxies: 0, ...options })
  running.push(serving)
  return serving
}

async function servedWorld() {
  const world = httpWorld()
  const as = await world.key()
  const serving = served(world.edge)
  return { world, as, serving, url: `http://127.0.0.1:${serving.port}` }
}

/** Sends bytes as they are and resolves to all that came back, once the server closed the connection. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(text, "latin1"))
    socket.on("data", (data) => {
      answer += data.toString("latin1")
    })
    socket.on("close", () => resolve(answer))
    socket.on("error", reject)
  })
}

const request = (target: string, headers: readonly string[] = ["Host: mooring.test"], body = "") =>
  `${target} HTTP/1.1\r\n${[...headers, "Connection: close"].join("\r\n")}\r\n\r\n${body}`

const statusOf = (answer: string) => Number(answer.split(" ")[1])

async function expectAlive(world: HttpWorld, url: string): Promise<void> {
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect(world.faultsSeen).toEqual([])
}

test("a whole connect goes over a real socket", async () => {
  const { as, url } = await servedWorld()
  const headers = { authorization: `Bearer ${as}`, "content-type": "application/json" }
  const app = await fetch(`${url}/v1/oauth-apps`, { method: "POST", headers, body: JSON.stringify(newApp) })
  expect(app.status).toBe(201)
  const query = new URLSearchParams({ return_url: returnUrl })
  const started = (await (await fetch(`${url}/v1/oauth/x/start?${query}`, { headers })).json()) as {
    authorize_url: string
  }
  const state = new URL(started.authorize_url).searchParams.get("state")
  const back = await fetch(`${url}/v1/oauth/x/callback?state=${state}&code=fake-code`, { redirect: "manual" })
  expect([back.status, back.headers.get("location")]).toEqual([302, `${returnUrl}&connected=x`])
})

test("a server that stops is not held up by a body that never ends", async () => {
  const { serving } = await servedWorld()
  const socket = connect(serving.port, "127.0.0.1")
  socket.on("error", () => {})
  socket.write(
    "POST /v1/oauth/x/choose?ticket=a HTTP/1.1\r\nHost: m\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\na",
  )
  await Bun.sleep(100)
  const stopped = serving.stop(200).then(() => "stopped")
  expect(await Promise.race([stopped, Bun.sleep(10_000).then(() => "still open")])).toBe("stopped")
  socket.destroy()
})

describe("a server", () => {
  test("takes a port for itself: a second one there is refused, with a sentence", async () => {
    const { world, serving } = await servedWorld()
    expect(() => served(world.edge, { port: serving.port })).toThrow(new RegExp(`port ${serving.port}`))
  })

  test("that stops finishes what is in flight, then takes nothing more", async () => {
    const { world, as, serving, url } = await servedWorld()
    await world.storeApp(as)
    const { state } = await world.startFlow(as)
    const [asked, answerable] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.provider.answer = async () => {
      asked.resolve()
      await answerable.promise
      return [upstreamAccount()]
    }
    const callback = fetch(`${url}/v1/oauth/x/callback?state=${state}&code=fake-code`, { redirect: "manual" })
    await asked.promise
    let stopped = false
    const stopping = serving.stop().then(() => {
      stopped = true
    })
    await expect(raw(serving.port, request("GET /healthz"))).rejects.toThrow()
    expect(stopped).toBe(false)
    answerable.resolve()
    expect((await callback).headers.get("location")).toBe(`${returnUrl}&connected=x`)
    await stopping
    expect(stopped).toBe(true)
  })

  test("tells nothing of a fault that the edge itself could not answer", async () => {
    const { port } = served(async () => {
      throw new Error("fake-secret in /home/fake/file.ts")
    })
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect(response.status).toBe(500)
    expect(await response.text()).not.toMatch(/fake|\.ts|stack/i)
  })
})

describe("a request that is too large", () => {
  test("in its body is a problem document up to what the platform reads, and 413 beyond", async () => {
    const { world, as, url } = await servedWorld()
    const headers = { authorization: `Bearer ${as}`, "content-type": "application/json" }
    const send = (bytes: number) =>
      fetch(`${url}/v1/oauth-apps`, { method: "POST", headers, body: "x".repeat(bytes) })
    const [ours, theirs] = [await send(70_000), await send(2_000_000)]
    expect([ours.status, ours.headers.get("content-type")]).toEqual([413, "application/problem+json"])
    expect(theirs.status).toBe(413)
    await expectAlive(world, url)
  })

  test("in chunks without a length is 413 too", async () => {
    const { world, as, serving, url } = await servedWorld()
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`
    const headers = [
      "Host: a",
      `Authorization: Bearer ${as}`,
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    ]
    const answer = await raw(
      serving.port,
      request("POST /v1/oauth-apps", headers, `${chunk.repeat(20)}0\r\n\r\n`),
    )
    expect(statusOf(answer)).toBe(413)
    await expectAlive(world, url)
  })

  test("in a header or in its address is 431, and the server lives on", async () => {
    const { world, serving, url } = await servedWorld()
    const long = "a".repeat(20_000)
    const many = Array.from({ length: 300 }, (_, i) => `X-${i}: a`)
    expect(statusOf(await raw(serving.port, request("GET /healthz", ["Host: a", `X-Long: ${long}`])))).toBe(
      431,
    )
    expect(statusOf(await raw(serving.port, request(`GET /healthz?${long}`)))).toBe(431)
    expect(statusOf(await raw(serving.port, request("GET /healthz", ["Host: a", ...many])))).toBe(431)
    await expectAlive(world, url)
  })
})

describe("a request that is odd", () => {
  test.each([
    ["a b", 400],
    ["a/healthz?", 400],
    ["a/v1/oauth/x/callback#", 400],
    ["x@y", 400],
    ["a\\b", 400],
    ["\xfc", 400],
    ["", 400],
    ["y:99999", 400],
    ["[::1", 400],
    ["a", 200],
    ["evil.example", 200],
  ])("with the host %p is answered, and is no fault", async (host, status) => {
    const { world, serving, url } = await servedWorld()
    const answer = await raw(serving.port, request("GET /healthz", [`Host: ${host}`]))
    expect(statusOf(answer)).toBe(status)
    await expectAlive(world, url)
  })

  test("cannot shift its path by its host", async () => {
    const { serving } = await servedWorld()
    expect(statusOf(await raw(serving.port, request("GET /abc/healthz", ["Host: a"])))).toBe(404)
    expect(statusOf(await raw(serving.port, request("GET /x", ["Host: a/healthz?"])))).toBe(400)
    expect(statusOf(await raw(serving.port, request("GET //a/healthz", ["Host: a b"])))).toBe(400)
    expect(statusOf(await raw(serving.port, request("GET http://evil.example/nope", ["Host: a"])))).toBe(404)
  })

  test.each([
    ["TRACE /healthz", 405],
    ["HEAD /healthz", 405],
    ["OPTIONS /healthz", 405],
    ["PURGE /healthz", 405],
    ["CONNECT mooring.test:443", 404],
    ["GET /healthz#fragment", 400],
    ["GET /v1/oauth/x/callback%00", 401],
  ])("in its first line is answered, and is no fault: %s", async (target, status) => {
    const { world, serving, url } = await servedWorld()
    expect(statusOf(await raw(serving.port, request(target)))).toBe(status)
    await expectAlive(world, url)
  })

  test("with two credentials is 401, and with two lengths or two framings it is 400", async () => {
    const { world, as, serving, url } = await servedWorld()
    const bearer = `Authorization: Bearer ${as}`
    const json = ["Host: a", bearer, "Content-Type: application/json"]
    expect(statusOf(await raw(serving.port, request("GET /v1/accounts", ["Host: a", bearer, bearer])))).toBe(
      401,
    )
    const twice = request("POST /v1/oauth-apps", [...json, "Content-Length: 2", "Content-Length: 3"], "{}}")
    expect(statusOf(await raw(serving.port, twice))).toBe(400)
    const both = request(
      "POST /v1/oauth-apps",
      [...json, "Content-Length: 2", "Transfer-Encoding: chunked"],
      "2\r\n{}\r\n0\r\n\r\n",
    )
    expect(statusOf(await raw(serving.port, both))).toBe(400)
    await expectAlive(world, url)
  })

  test("whose sender hangs up in the middle of its body is no fault", async () => {
    const { world, as, serving, url } = await servedWorld()
    const headers = [
      "Host: a",
      `Authorization: Bearer ${as}`,
      "Content-Type: application/json",
      "Content-Length: 50",
    ]
    const logged = world.entries.length
    await new Promise<void>((resolve) => {
      const socket = connect(serving.port, "127.0.0.1", () => {
        socket.write(request("POST /v1/oauth-apps", headers, '{"name":'), () =>
          setTimeout(() => socket.destroy(), 20),
        )
      })
      socket.on("close", () => resolve())
    })
    for (let i = 0; i < 100 && world.entries.length === logged; i++) await Bun.sleep(2)
    expect(world.entries.slice(logged).map(({ status }) => status)).toEqual([400])
    await expectAlive(world, url)
  })
})

describe("the client's address", () => {
  const echo: Edge = async (_, address) => new Response(address())
  const addressSeen = async (trustedProxies: number, forwarded?: string) => {
    const { port } = served(echo, { trustedProxies })
    const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded }
    return (
      await fetch(`http://127.0.0.1:${port}/`, {
        headers: { ...headers, "x-real-ip": "6.6.6.6", forwarded: "for=6.6.6.6" },
      })
    ).text()
  }

  test("is the peer's where no proxy is trusted, whatever the headers say", async () => {
    expect(await addressSeen(0)).toBe("127.0.0.1")
    expect(await addressSeen(0, "6.6.6.6")).toBe("127.0.0.1")
  })

  test("is what the trusted proxy saw, and never what the client wrote in front of that", async () => {
    expect(await addressSeen(1, "203.0.113.5")).toBe("203.0.113.5")
    expect(await addressSeen(1, "6.6.6.6, 203.0.113.5")).toBe("203.0.113.5")
    expect(await addressSeen(1, "6.6.6.6,,203.0.113.5 ")).toBe("203.0.113.5")
    expect(await addressSeen(2, "6.6.6.6, 203.0.113.5, 10.0.0.1")).toBe("203.0.113.5")
  })

  test("is the peer's where a trusted proxy said nothing", async () => {
    for (const forwarded of [undefined, "", ",", "203.0.113.5, "])
      expect(await addressSeen(1, forwarded)).toBe("127.0.0.1")
    expect(await addressSeen(2, "203.0.113.5")).toBe("127.0.0.1")
  })
})

test("every caller of stop waits for work whose client has gone, and no longer", async () => {
  const [asked, answerable] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const serving = served(async () => {
    asked.resolve()
    await answerable.promise
    return new Response()
  })
  const socket = connect(serving.port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
  await asked.promise
  await new Promise((gone) => socket.on("close", gone).destroy())
  const stopped: string[] = []
  const stops = ["one", "other"].map((name) => serving.stop(5000).then(() => stopped.push(name)))
  await Bun.sleep(100)
  expect(stopped).toEqual([])
  answerable.resolve()
  await Promise.race([Promise.all(stops), Bun.sleep(2000)])
  expect(stopped.toSorted()).toEqual(["one", "other"])
})
