/**
 * The real service with the real wiring, its providers' hosts moved to loopback: what `PROVIDER_URL` names
 * answers for all of them. Started as a process by the tests of what several processes do at once, and measured
 * by the benchmarks; so it does all that the service does, its background work too.
 */
import { liveTransport } from "../../src/adapters/arctic/live-transport.ts"
import { backgroundWork } from "../../src/adapters/cli/background.ts"
import { openLog } from "../../src/adapters/cli/log.ts"
import { serve } from "../../src/adapters/http/serve.ts"
import { readConfig } from "../../src/config.ts"
import { migrate, mooring, openStorage } from "../../src/main.ts"
import type { Transport } from "../../src/ports/transport.ts"

const config = readConfig(process.env)
const base = process.env.PROVIDER_URL ?? ""
const loopback = liveTransport({ allowInsecureLoopback: true })
const moved: Transport = (request, limits) => {
  // By its text alone: an address parsed once more would be measured with the service.
  const path = request.url.slice(request.url.indexOf("/", "https://".length))
  return loopback({ ...request, url: `${base}${path}` }, limits)
}
const log = openLog(config.logLevel)
await migrate(config.storage)
const storage = await openStorage(config.storage, { serve: true })
const { edge, settled, ...uses } = mooring(config, storage, { log, liveTransport: moved })
const serving = serve(edge, { host: config.host, port: config.port, trustedProxies: 0 })
const background = backgroundWork(uses, log)
process.once("SIGTERM", async () => {
  await Promise.all([serving.stop(), background.stop()])
  await settled()
  await storage.close()
  process.exit(0)
})
