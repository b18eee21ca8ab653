import { afterEach, describe, expect, test } from "bun:test"
import { Webhook } from "standardwebhooks"
import { type WebhookSenderOptions, webhookSender } from "../../../src/adapters/webhooks/sender.ts"
import type { WebhookMessage } from "../../../src/ports/webhooks.ts"
import { makeAuthority } from "../../support/certificates.ts"
import { rawServer, receiver } from "../../support/receiver.ts"

const secretOf = (fill: number) => `whsec_${Buffer.alloc(32, fill).toString("base64")}`
const body = '{"type":"account.connected","data":{"id":"evt_1","detail":"für dich"}}'

function message(url: string, change: Partial<WebhookMessage> = {}): WebhookMessage {
  return { url, id: "evt_1", at: new Date(), body, secrets: [secretOf(1)], ...change }
}

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

function started(options: Parameters<typeof receiver>[0] = {}) {
  const made = receiver(options)
  ends.push(made.stop)
  return made
}

async function raw(talk: Parameters<typeof rawServer>[0]) {
  const server = await rawServer(talk)
  ends.push(server.stop)
  return { ...server, url: `http://127.0.0.1:${server.port}/` }
}

const send = (url: string, options: Partial<WebhookSenderOptions> = {}) =>
  webhookSender({ addresses: "private", ...options }).send(message(url))

const unanswered = (why: string) => ({ kind: "unanswered", why }) as never
const ok = { kind: "answered", status: 200, retryAfterSeconds: null } as const

describe("what is sent", () => {
  test("is a POST of the very body with the three headers, and verifies with the standard library", async () => {
    const there = started()
    await webhookSender({ addresses: "private" }).send(message(`${there.url}?a=b%20c`))
    const [got] = there.received
    if (!got) throw new Error("nothing came")
    expect(got.body).toBe(body)
    expect(got.headers).toMatchObject({
      "content-type": "application/json",
      "user-agent": "Mooring-Webhooks",
      host: `127.0.0.1:${there.port}`,
      "webhook-id": "evt_1",
    })
    expect(new Webhook(secretOf(1)).verify(got.body, got.headers)).toEqual(JSON.parse(body))
    expect(() => new Webhook(secretOf(2)).verify(got.body, got.headers)).toThrow("No matching signature")
    expect(() => new Webhook(secretOf(1)).verify(`${got.body} `, got.headers)).toThrow()
  })

  test("is signed for each secret, so that either verifies while they change over", async () => {
    const there = started()
    const secrets = [secretOf(1), secretOf(2)] as const
    await webhookSender({ addresses: "private" }).send(message(there.url, { secrets }))
    const [got] = there.received
    if (!got) throw new Error("nothing came")
    expect(got.headers["webhook-signature"]).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/)
    for (const secret of secrets) expect(new Webhook(secret).verify(got.body, got.headers)).toBeDefined()
  })

  test("bears the time of the attempt, in seconds", async () => {
    const there = started()
    const at = new Date("2026-11-22T10:00:00.999Z")
    await webhookSender({ addresses: "private" }).send(message(there.url, { at }))
    expect(there.received[0]?.headers["webhook-timestamp"]).toBe("1795341600")
  })

  test("has the signature that Standard Webhooks gives as its example", async () => {
    const there = started()
    await webhookSender({ addresses: "private" }).send({
      url: there.url,
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      at: new Date(1614265330_000),
      body: '{"test": 2432232314}',
      secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    })
    expect(there.received[0]?.headers["webhook-signature"]).toBe(
      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    )
  })

  test("goes through no proxy of the environment", async () => {
    const there = started()
    const proxy = started()
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"]
    const before = names.map((name) => process.env[name])
    for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`
    try {
      // That the trap works: what is fetched does go there.
      await fetch(there.url)
      expect(proxy.received.length + there.received.length).toBe(1)
      proxy.received.splice(0)
      there.received.splice(0)
      expect(await send(there.url)).toMatchObject({ status: 204 })
    } finally {
      for (const [i, name] of names.entries()) {
        if (before[i] === undefined) delete process.env[name]
        else process.env[name] = before[i]
      }
    }
    expect([there.received.length, proxy.received.length]).toEqual([1, 0])
  })
})

describe("an answer", () => {
  test.each([200, 204, 302, 307, 400, 404, 410, 429, 500, 503])("of %p is told as it is", async (status) => {
    const there = started()
    there.scripted.answer = async () => new Response(null, { status })
    expect(await send(there.url)).toEqual({ kind: "answered", status, retryAfterSeconds: null })
  })

  test.each([
    ["120", 120],
    ["0", 0],
    ["soon", null],
    ["-5", null],
    ["1e3", null],
    ["12345678901234567890", null],
  ])("with Retry-After %p is told with %p seconds", async (value, seconds) => {
    const there = started()
    there.scripted.answer = async () => new Response(null, { status: 503, headers: { "retry-after": value } })
    expect(await send(there.url)).toEqual({ kind: "answered", status: 503, retryAfterSeconds: seconds })
  })

  test("with a date in Retry-After is told in seconds from now", async () => {
    const there = started()
    const value = new Date(Date.now() + 90_000).toUTCString()
    there.scripted.answer = async () => new Response(null, { status: 429, headers: { "retry-after": value } })
    const outcome = await send(there.url)
    if (outcome.kind !== "answered" || outcome.retryAfterSeconds === null) throw new Error("no time")
    expect(Math.abs(outcome.retryAfterSeconds - 90)).toBeLessThanOrEqual(2)
  })

  test.each([301, 302, 303, 307, 308])("that redirects by %p is not followed", async (status) => {
    const elsewhere = started()
    const there = started()
    there.scripted.answer = async () => new Response(null, { status, headers: { location: elsewhere.url } })
    expect(await send(there.url)).toMatchObject({ kind: "answered", status })
    expect(elsewhere.received).toEqual([])
  })

  test("of 100 MB is cut off after some kilobytes", async () => {
    let written = 0
    const there = await raw((socket) => {
      const chunk = Buffer.alloc(64 * 1024, "x")
      const pour = () => {
        while (!socket.destroyed && written < 100 * 1024 * 1024) {
          written += chunk.length
          if (!socket.write(chunk)) return void socket.once("drain", pour)
        }
      }
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        pour()
      })
    })
    expect(await send(there.url)).toEqual(ok)
    await there.closed
    // What the sockets of both sides hold, and no more.
    expect(written).toBeLessThan(20 * 1024 * 1024)
  })

  test("that inflates to more is not inflated", async () => {
    const bomb = Bun.gzipSync(new Uint8Array(50 * 1024 * 1024))
    const there = started()
    there.scripted.answer = async () => new Response(bomb, { headers: { "content-encoding": "gzip" } })
    expect(await send(there.url)).toEqual(ok)
    expect(there.received[0]?.headers["accept-encoding"]).toBeUndefined()
  })

  test("in HTML, or one that breaks off, counts by its status", async () => {
    const there = started()
    there.scripted.answer = async () =>
      new Response("<html>fine</html>", { headers: { "content-type": "text/html" } })
    expect(await send(there.url)).toEqual(ok)
    const broken = await raw((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")),
    )
    expect(await send(broken.url)).toEqual(ok)
  })

  test("whose body drips counts by its status when the time is up, and the connection is cut", async () => {
    const there = await raw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
      const timer = setInterval(() => socket.write("x"), 20)
      socket.on("close", () => clearInterval(timer))
    })
    expect(await send(there.url, { limitMs: 300 })).toEqual(ok)
    await there.closed
  })
})

describe("no answer", () => {
  test("in time is a timeout, and the connection is cut: a server that hangs", async () => {
    const there = await raw(() => {})
    const began = performance.now()
    expect(await send(there.url, { limitMs: 300 })).toEqual(unanswered("timeout"))
    expect(performance.now() - began).toBeLessThan(2000)
    await there.closed
  })

  test("in time is a timeout, and the connection is cut: headers that drip", async () => {
    const there = await raw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n")
      const timer = setInterval(() => socket.write("X: y\r\n"), 20)
      socket.on("close", () => clearInterval(timer))
    })
    expect(await send(there.url, { limitMs: 300 })).toEqual(unanswered("timeout"))
    await there.closed
  })

  test("in time is a timeout: a TLS handshake that hangs", async () => {
    const there = await raw(() => {})
    const url = there.url.replace("http:", "https:")
    expect(await send(url, { limitMs: 300 })).toEqual(unanswered("timeout"))
    await there.closed
  })

  test("in time is a timeout: a look-up that hangs", async () => {
    const resolve = () => new Promise<never>(() => {})
    expect(await send("http://hooks.test/", { limitMs: 200, resolve })).toEqual(unanswered("timeout"))
  })

  test("comes from a name without addresses", async () => {
    const unresolved = unanswered("unresolved")
    expect(await send("http://nowhere.invalid/")).toEqual(unresolved)
    expect(await send("http://hooks.test/", { resolve: async () => [] })).toEqual(unresolved)
    const fails = () => Promise.reject(new Error("the resolver is down"))
    expect(await send("http://hooks.test/", { resolve: fails })).toEqual(unresolved)
  })

  test("comes where nobody listens, or where the connection ends with nothing said", async () => {
    const gone = await raw(() => {})
    gone.stop()
    expect(await send(gone.url)).toEqual(unanswered("unreachable"))
    const silent = await raw((socket) => socket.once("data", () => socket.end()))
    expect(await send(silent.url)).toEqual(unanswered("unreachable"))
    const rude = await raw((socket) => socket.once("data", () => socket.resetAndDestroy()))
    expect(await send(rude.url)).toEqual(unanswered("unreachable"))
  })

  test("comes from what speaks no HTTP, or headers without end", async () => {
    const garbage = await raw((socket) => socket.once("data", () => socket.end("220 mail.example ESMTP\r\n")))
    expect(await send(garbage.url)).toEqual(unanswered("broken_answer"))
    const endless = await raw((socket) =>
      socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(10_000_000)}\r\n\r\n`)),
    )
    expect(await send(endless.url)).toEqual(unanswered("broken_answer"))
  })
})

describe("over TLS", () => {
  const authority = makeAuthority()
  const at = async () => ["127.0.0.1"]
  const served = (identity: ReturnType<typeof authority.identity>) => started({ tls: identity }).port

  test("the certificate is held to the host's name, whatever address was connected to", async () => {
    const port = served(authority.identity("hooks.test"))
    const options = { ca: authority.ca, resolve: at }
    expect(await send(`https://hooks.test:${port}/`, options)).toMatchObject({ status: 204 })
    const refused = unanswered("certificate_refused")
    expect(await send(`https://other.test:${port}/`, options)).toEqual(refused)
    expect(await send(`https://127.0.0.1:${port}/`, options)).toEqual(refused)
  })

  test("a certificate of nobody trusted, or one that has ended, is refused", async () => {
    const refused = unanswered("certificate_refused")
    const port = served(authority.identity("hooks.test"))
    expect(await send(`https://hooks.test:${port}/`, { resolve: at })).toEqual(refused)
    expect(await send(`https://hooks.test:${port}/`, { ca: makeAuthority().ca, resolve: at })).toEqual(
      refused,
    )
    const ended = served(authority.identity("hooks.test", new Date("2021-01-01")))
    expect(await send(`https://hooks.test:${ended}/`, { ca: authority.ca, resolve: at })).toEqual(refused)
  })

  test("no setting of the environment makes it less strict", async () => {
    const port = served(authority.identity("hooks.test"))
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"
    try {
      expect(await send(`https://hooks.test:${port}/`, { resolve: at })).toEqual(
        unanswered("certificate_refused"),
      )
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    }
  })
})

describe("an address that is not public", () => {
  const refused = unanswered("address_refused")
  const strict = (url: string, resolve: WebhookSenderOptions["resolve"] = async () => ["127.0.0.1"]) =>
    webhookSender({ addresses: "public", resolve }).send(message(url))

  test.each([
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://%31%32%37.0.0.1/",
    "https://１２７.0.0.1/",
    "https://0.0.0.0/",
    "https://0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://168.63.129.16/",
  ])("is refused as it stands in %s", async (url) => {
    let asked = 0
    const resolve = async () => {
      asked++
      return ["8.8.8.8"]
    }
    expect(await strict(url, resolve)).toEqual(refused)
    expect(await webhookSender({ addresses: "public", resolve }).mayReach(url)).toBe(false)
    expect(asked).toBe(0)
  })

  test.each([
    [["127.0.0.1"]],
    [["::1"]],
    [["8.8.8.8", "10.0.0.1"]],
    [["10.0.0.1", "8.8.8.8"]],
    [["2606:4700:4700::1111", "::ffff:169.254.169.254"]],
    [["no address at all"]],
  ])("is refused behind a name that resolves to %j", async (addresses) => {
    expect(await strict("https://hooks.acme.example/", async () => addresses)).toEqual(refused)
    const sender = webhookSender({ addresses: "public", resolve: async () => addresses })
    expect(await sender.mayReach("https://hooks.acme.example/")).toBe(false)
  })

  test("is refused behind localhost by the system's own resolver", async () => {
    expect(await webhookSender({ addresses: "public" }).send(message("https://localhost/"))).toEqual(refused)
  })

  test("is refused for what was saved while private ones were allowed", async () => {
    for (const url of ["http://hooks.acme.example/", "https://hooks.acme.example:8443/", "no url"])
      expect(await strict(url, async () => ["8.8.8.8"])).toEqual(refused)
  })

  test("gets nothing: no connection is opened to it", async () => {
    let connections = 0
    const there = await raw(() => void connections++)
    for (const url of [`https://127.0.0.1:${there.port}/`, `http://127.0.0.1:${there.port}/`])
      expect(await strict(url)).toEqual(refused)
    await Bun.sleep(50)
    expect(connections).toBe(0)
  })

  test("may be sent to where the setting allows it", async () => {
    const there = started()
    expect(await send(there.url)).toMatchObject({ status: 204 })
    expect(await webhookSender({ addresses: "private" }).mayReach(there.url)).toBe(true)
  })

  test("may be saved behind a name that does not resolve now, since every attempt looks again", async () => {
    for (const resolve of [async () => [], () => Promise.reject(new Error("down"))]) {
      const sender = webhookSender({ addresses: "public", resolve })
      expect(await sender.mayReach("https://hooks.acme.example/")).toBe(true)
    }
    const hangs = () => new Promise<never>(() => {})
    const slow = webhookSender({ addresses: "public", resolve: hangs, limitMs: 100 })
    expect(await slow.mayReach("https://hooks.acme.example/")).toBe(true)
  })
})

describe("a name that gives another address each time", () => {
  test("is looked up once, and what was judged is what is connected to", async () => {
    const judged = started()
    const other = await raw(() => {})
    const answers = [["127.0.0.1"], ["127.0.0.2"]]
    let asked = 0
    const resolve = async () => answers[asked++] ?? []
    const outcome = await send(`http://rebinding.test:${judged.port}/`, { resolve })
    expect(outcome).toMatchObject({ status: 204 })
    expect(asked).toBe(1)
    expect(judged.received[0]?.headers.host).toBe(`rebinding.test:${judged.port}`)
    other.stop()
  })

  test("with several addresses is sent to the first that answers", async () => {
    const there = started()
    const resolve = async () => ["::1", "127.0.0.1"]
    expect(await send(`http://hooks.test:${there.port}/`, { resolve })).toMatchObject({ status: 204 })
  })
})
