import type { Storage } from "../../ports/storage.ts"
import { memoryAccounts } from "./accounts.ts"
import { memoryApps } from "./apps.ts"
import { memoryDeliveries } from "./deliveries.ts"
import { memoryEvents } from "./events.ts"
import { memoryFlows } from "./flows.ts"
import { memoryKeys } from "./keys.ts"
import { openMemory } from "./tables.ts"
import { memoryTokens } from "./tokens.ts"
import { memoryWebhooks } from "./webhooks.ts"

/** Keeps everything in this process and forgets it at the end: for trying out, and the double in tests. */
export function memoryStorage(): Storage {
  const memory = openMemory()
  const apps = memoryApps(memory)
  const tokens = memoryTokens(memory)
  return {
    apps,
    flows: memoryFlows(memory),
    accounts: memoryAccounts(memory),
    tokens,
    keys: memoryKeys(memory, { apps, tokens }),
    events: memoryEvents(memory),
    webhooks: memoryWebhooks(memory),
    deliveries: memoryDeliveries(memory),
    ping: () => memory.read(() => {}),
    async close() {
      memory.close()
    },
  }
}
