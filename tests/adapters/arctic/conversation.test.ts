import { expect, test } from "bun:test"
import { openConversation } from "../../../src/adapters/arctic/conversation.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { installScopedFetch } from "../../../src/adapters/arctic/scoped-fetch.ts"
import { x } from "../../../src/adapters/arctic/x.ts"
import { providerNames } from "../../../src/domain/provider.ts"
import { type ProviderRequest, type Transport, TransportFault } from "../../../src/ports/transport.ts"
import { exchangeRequest, failureOf, now } from "./wire.ts"

/** Made of words, so that it is known or it is not: nothing about it looks like a token. */
const wordyVerifier = "made-up-verifier-of-words-alone-and-no-figure-at-all"
const granted = { status: 200, headers: {}, body: `{"access_token":"made-up-token"}` }

function conversing(transport: Transport) {
  installScopedFetch()
  const limits = { timeoutMs: 1_000, maxBytes: 1_000 }
  const settings = { transport, now: () => now, limits }
  const { credentials, code, deadline } = exchangeRequest("x")
  const secrets = [credentials.clientSecret, code, wordyVerifier]
  const occasion = { call: "token", secrets, deadline, onCall: () => {} } as const
  return openConversation(settings, occasion, x.refusals)
}

test("a client that asks twice for one code is heard once", async () => {
  const sent: string[] = []
  const conversation = conversing(async (request) => {
    sent.push(`${request.url} ${request.body}`)
    return granted
  })
  const twice = async () => {
    const ask = () => fetch("https://old.example/token", { method: "POST", body: "code=made-up" })
    await ask()
    await ask()
  }
  expect(await conversation.submit("token", twice, "https://today.example/token")).toEqual({
    access_token: "made-up-token",
  })
  expect(sent).toEqual(["https://today.example/token code=made-up"])
})

test("a client that asks twice at once for one code is heard once", async () => {
  const sent: string[] = []
  const conversation = conversing(async (request) => {
    sent.push(`${request.body}`)
    return granted
  })
  const ask = () => fetch("https://old.example/token", { method: "POST", body: "code=made-up" })
  await conversation.submit("token", () => Promise.all([ask(), ask()]), "https://today.example/token")
  expect(sent).toEqual(["code=made-up"])
})

test("a client that fails before it asks is a fault, and nothing is sent", async () => {
  const sent: string[] = []
  const conversation = conversing(async (request) => {
    sent.push(request.url)
    return granted
  })
  const failing = () => Promise.reject(new RangeError("made-up"))
  await expect(conversation.submit("token", failing, "https://today.example/token")).rejects.toThrow(
    RangeError,
  )
  expect(sent).toEqual([])
})

test("what is amended is sent, and the rest as the client formed it, less the length it told", async () => {
  const sent: ProviderRequest[] = []
  const conversation = conversing(async (request) => {
    sent.push(request)
    return granted
  })
  const headers = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Content-Length": "18",
    Authorization: "Basic old",
  }
  const ask = () =>
    fetch("https://old.example/token", { method: "POST", headers, body: "a=1+2&code=made-up" })
  const today = "https://today.example/token"
  await conversation.submit("token", ask, today)
  await conversation.submit("token", ask, today, {
    headers: { authorization: "Basic new" },
    form: (form) => form.set("b", "3 4"),
  })
  expect(sent.map(({ body }) => body)).toEqual(["a=1+2&code=made-up", "a=1+2&code=made-up&b=3+4"])
  expect(sent.map(({ headers }) => headers)).toEqual([
    {
      "content-type": "application/x-www-form-urlencoded",
      authorization: "Basic old",
      "user-agent": "mooring",
    },
    {
      "content-type": "application/x-www-form-urlencoded",
      authorization: "Basic new",
      "user-agent": "mooring",
    },
  ])
})

test("a token of an earlier answer is kept out of what a later call's failure says", async () => {
  const answers = [
    granted,
    {
      status: 400,
      headers: {},
      body: `{"error":"invalid_request","error_description":"no made-up-token here"}`,
    },
  ]
  const conversation = conversing(async () => answers.shift() ?? granted)
  await conversation.ask("token", { url: "https://today.example/token" })
  const failure = await failureOf(conversation.ask("profile", { url: "https://today.example/me" }))
  expect(failure.evidence.message).toBe("no [redacted] here")
})

test("a client that asks nothing grants nothing", async () => {
  const conversation = conversing(async () => granted)
  await expect(
    conversation.submit("token", async () => granted, "https://today.example/token"),
  ).rejects.toThrow()
})

test("a transport that uses fetch itself does not fall into the scope of the call it carries", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(granted.body) })
  const conversation = conversing(async () => {
    const answer = await fetch(server.url)
    return { status: answer.status, headers: {}, body: await answer.text() }
  })
  const once = () => fetch("https://old.example/token", { method: "POST", body: "code=made-up" })
  expect(await conversation.submit("token", once, "https://today.example/token")).toEqual({
    access_token: "made-up-token",
  })
  await server.stop(true)
})

test.each([
  ["timeout", "provider_timeout"],
  ["unreachable", "provider_timeout"],
  ["too_large", "invalid_response"],
] as const)("a transport's %s is %s", async (kind, reason) => {
  const cause = kind === "unreachable" ? { cause: "CERT_HAS_EXPIRED" } : {}
  const providers = arcticProviders({
    transport: () => Promise.reject(new TransportFault(kind, cause)),
    now: () => now,
  })
  for (const provider of providerNames) {
    const error = await providers.connect(exchangeRequest(provider)).catch((error: unknown) => error)
    const message = kind === "unreachable" ? "unreachable: CERT_HAS_EXPIRED" : kind
    expect(error).toMatchObject({ reason, evidence: { call: "token", status: null, message } })
  }
})

test("the verifier, a proof and the client secret are secrets of the conversation", () => {
  const conversation = conversing(async () => granted)
  conversation.keepSecret("made-up-proof")
  const { clientSecret } = exchangeRequest("x").credentials
  const said = `${wordyVerifier} made-up-proof ${clientSecret}`
  expect(conversation.failure("token", "provider_error", said).evidence.message).toBe(
    "[redacted] [redacted] [redacted]",
  )
})
