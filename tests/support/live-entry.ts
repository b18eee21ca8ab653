/**
 * The real service with the real wiring, its providers' hosts moved to loopback: what `PROVIDER_URL` names
 * answers for all of them. Started as a process by the tests of what several processes do at once.
 */
import { liveTransport } from "../../src/adapters/arctic/live-transport.ts"
import { openLog } from "../../src/adapters/cli/log.ts"
import { serve } from "../../src/adapters/http/serve.ts"
import { readConfig } from "../../src/config.ts"
import { migrate, mooring, openStorage } from "../../src/main.ts"
import type { Transport } from "../../src/ports/transport.ts"

const config = readConfig(process.env)
const base = process.env.PROVIDER_URL ?? ""
const loopback = liveTransport({ allowInsecureLoopback: true })
const moved: Transport = (request, limits) => {
  const url = new URL(request.url)
  return loopback({ ...request, url: `${base}${url.pathname}${url.search}` }, limits)
}
const log = openLog(config.logLevel)
await migrate(config.storage)
const storage = await openStorage(config.storage, { serve: true })
const { edge, settled } = mooring(config, storage, { log, liveTransport: moved })
const serving = serve(edge, { host: config.host, port: config.port, trustedProxies: 0 })
process.once("SIGTERM", async () => {
  await serving.stop()
  await settled()
  await storage.close()
  process.exit(0)
})
