import { expect, test } from "bun:test"
import { providerNames } from "../../../src/domain/provider.ts"
import { everyCall, wired } from "./wire.ts"

const { simulated, failure } = wired({ timeoutMs: 200, maxBytes: 64 * 1024 })

const later = () => Bun.sleep(1_000).then(() => new Response("{}"))

function dripping(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(40)
      controller.enqueue(new TextEncoder().encode(" "))
    },
  })
}

test.each(everyCall.filter(([, call]) => call !== "businesses"))(
  "%s %s: headers that do not come are a timeout",
  async (provider, call) => {
    simulated.answer(provider, call, later)
    const { reason, evidence } = await failure(provider)
    expect([reason, evidence.call, evidence.status]).toEqual(["provider_timeout", call, null])
  },
)

test.each([...providerNames])("%s: a body that only drips is a timeout", async (provider) => {
  simulated.answer(provider, "token", () => new Response(dripping()))
  expect((await failure(provider)).reason).toBe("provider_timeout")
  expect(simulated.requests.length).toBe(1)
})
