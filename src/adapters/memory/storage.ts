import type { Storage } from "../../ports/storage.ts"
import { memoryAccounts } from "./accounts.ts"
import { memoryApps } from "./apps.ts"
import { memoryEvents } from "./events.ts"
import { memoryFlows } from "./flows.ts"
import { memoryKeys } from "./keys.ts"
import { openMemory } from "./tables.ts"
import { memoryTokens } from "./tokens.ts"

/** Keeps everything in this process and forgets it at the end: for trying out, and the double in tests. */
export function memoryStorage(): Storage {
  const memory = openMemory()
  return {
    apps: memoryApps(memory),
    flows: memoryFlows(memory),
    accounts: memoryAccounts(memory),
    tokens: memoryTokens(memory),
    keys: memoryKeys(memory),
    events: memoryEvents(memory),
    ping: () => memory.read(() => {}),
    async close() {
      memory.close()
    },
  }
}
