import { expect, test } from "bun:test"
import { openConversation } from "../../../src/adapters/arctic/conversation.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { x } from "../../../src/adapters/arctic/x.ts"
import { providerNames } from "../../../src/domain/provider.ts"
import { type ProviderRequest, type Transport, TransportFault } from "../../../src/ports/transport.ts"
import { exchangeRequest, failureOf, now } from "./wire.ts"

/** Made of words, so that it is known or it is not: nothing about it looks like a token. */
const wordyVerifier = "made-up-verifier-of-words-alone-and-no-figure-at-all"
const granted = { status: 200, headers: {}, body: `{"access_token":"made-up-token"}` }

function conversing(transport: Transport, limitMs = 60_000) {
  const limits = { timeoutMs: 1_000, maxBytes: 1_000 }
  const settings = { transport, now: () => now, limits }
  const { credentials, code } = exchangeRequest("x")
  const secrets = [credentials.clientSecret, code, wordyVerifier]
  const occasion = { call: "token", secrets, limitMs, onCall: () => {} } as const
  return openConversation(settings, occasion, x.refusals)
}

test("what is amended is sent, and the rest as the client formed it", async () => {
  const sent: ProviderRequest[] = []
  const conversation = conversing(async (request) => {
    sent.push(request)
    return granted
  })
  const formed = {
    headers: { "content-type": "application/x-www-form-urlencoded", authorization: "Basic old" },
    body: "a=1+2&code=made-up",
  }
  const today = "https://today.example/token"
  await conversation.submit("token", formed, today)
  await conversation.submit("token", formed, today, {
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

test("a call gets what is left for all of them, and never more than is for one", async () => {
  const given: number[] = []
  const transport: Transport = async (_, { timeoutMs }) => {
    given.push(timeoutMs)
    Bun.sleepSync(20)
    return granted
  }
  const question = { url: "https://today.example/token" }
  await conversing(transport).ask("token", question)
  const hasty = conversing(transport, 900)
  await hasty.ask("token", question)
  await hasty.ask("profile", question)
  const [whole = 0, first = 0, second = 0] = given
  expect(whole).toBe(1_000)
  expect(first).toBeLessThanOrEqual(900)
  expect(second).toBeLessThanOrEqual(first - 20)
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
