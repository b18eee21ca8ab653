import { expect, test } from "bun:test"
import { type BackgroundUses, backgroundWork } from "../../src/adapters/cli/background.ts"
import { fanOutBatch } from "../../src/application/deliver-webhooks.ts"

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** How often deliveries were asked in some tenths of a second, where each batch of events is of such a size. */
async function askedOfDeliveries(batches: readonly number[]) {
  const asked = { fanOut: 0, deliverDue: 0, turns: 0 }
  const uses: BackgroundUses = {
    sweep: async () => ({ expired: 0, lost: 0, unconfirmed: 0, forgotten: 0 }),
    keepAlive: { renewDue: async () => 0, tellTime: async () => 0 },
    delivering: {
      async fanOut() {
        return batches[asked.fanOut++] ?? 0
      },
      async deliverDue() {
        asked.deliverDue++
        return 0
      },
    },
    prune: async () => false,
  }
  const begun = performance.now()
  const work = backgroundWork(uses, silent)
  while (asked.fanOut === 0) await Bun.sleep(5)
  await Bun.sleep(100)
  await work.stop()
  // One at first, and one each second; that the machine stood still for one is no fault.
  return { ...asked, turns: 1 + Math.floor((performance.now() - begun) / 1000) }
}

test("events that come one after the other are fanned out together, and not each at once", async () => {
  const { fanOut, deliverDue, turns } = await askedOfDeliveries(Array.from({ length: 10_000 }, () => 1))
  expect(fanOut).toBeLessThanOrEqual(turns)
  expect(deliverDue).toBeGreaterThan(1) // at first, and for the event
})

test("a batch that was full is followed by the next at once", async () => {
  const { fanOut, turns } = await askedOfDeliveries([fanOutBatch, fanOutBatch, 7, 1, 1, 1, 1, 1])
  expect(fanOut).toBeGreaterThanOrEqual(3)
  expect(fanOut).toBeLessThanOrEqual(2 + turns)
})

test("where nothing happened nothing is sent but what was due already", async () => {
  const { fanOut, deliverDue, turns } = await askedOfDeliveries([])
  expect(fanOut).toBeLessThanOrEqual(turns)
  expect(deliverDue).toBeLessThanOrEqual(turns)
})
