import { mkdtempSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadClient } from "../harness/load.ts"
import type { Store } from "../harness/mooring.ts"
import { type HotPath, mooringContestant } from "../harness/mooring-contestants.ts"
import { namingCompiledCode, readNativeProfile, record, removeSources } from "../harness/native-profile.ts"
import type { Options } from "../harness/options.ts"
import { readProfile, type Share, type Window } from "../harness/profile-reader.ts"
import { say } from "../harness/report.ts"
import { measure } from "../harness/rounds.ts"
import { inWorld } from "../harness/world.ts"

const paths: readonly HotPath[] = ["start", "callback", "token"]
const stores: readonly Store[] = ["sqlite", "postgres"]
const microsecondsASample = 500
const seconds = 2
const loads = 3
/** Before anything is counted: so long the compilers need. */
const warmUpSeconds = 6
const singleUsePerSecond = 2500
const shown = 25

/**
 * Where the service's own time goes on one path: `profile start postgres`. The profile file stays, for a viewer.
 * `native` takes it with perf instead, which sees into the runtime.
 */
export async function profile({ words, connections }: Options): Promise<void> {
  const path = paths.find((name) => name === words[0]) ?? "start"
  const store = stores.find((name) => name === words[1]) ?? "sqlite"
  if (words.includes("native")) return await profileNative(path, store, connections[0] ?? 32)
  const folder = mkdtempSync(join(tmpdir(), "mooring-profile-"))
  const windows = await inWorld(async (world) => {
    const contestant = await mooringContestant(path, store, world, {
      runtimeArguments: [
        "--cpu-prof",
        `--cpu-prof-dir=${folder}`,
        `--cpu-prof-interval=${microsecondsASample}`,
      ],
      // The profile is written by an orderly end.
      stopSignal: "SIGTERM",
    })
    const client = loadClient()
    const load = async (forSeconds: number) => {
      const requests = await contestant.requests(forSeconds * singleUsePerSecond)
      const from = performance.now()
      const options = { seconds: forSeconds, connections: connections[0] ?? 32 }
      const sample = await measure(client, contestant, requests, options)
      return { sample, window: { from, to: performance.now() } }
    }
    await load(warmUpSeconds)
    const loaded: Window[] = []
    for (let i = 0; i < loads; i++) {
      const { sample, window } = await load(seconds)
      loaded.push(window)
      say(
        `${Math.round(sample.perSecond)} answers/s under the profiler, ${Math.round(sample.cpu)} µs CPU each`,
      )
    }
    const end = performance.now()
    await contestant.stop()
    client.stop()
    return loaded.map(({ from, to }) => ({ from: end - from, to: end - to }))
  })
  const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"))
  if (!file) throw new Error("no profile was written")
  const report = readProfile(join(folder, file), windows)
  say(`\n${path} on ${store}: ${report.samples} samples`)
  sayShares("by kind of work; native functions count for their callers", report.kinds)
  sayShares("by function, self time", report.functions)
  sayShares("by the nearest function of ours", report.callers)
  say(`\n${join(folder, file)}`)
}

async function profileNative(path: HotPath, store: Store, connections: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "mooring-profile-"))
  const { samples, places, functions } = await inWorld(async (world) => {
    const contestant = await mooringContestant(path, store, world, { env: namingCompiledCode(folder) })
    const client = loadClient()
    const load = async (forSeconds: number, meanwhile: () => Promise<string> = async () => "") => {
      const requests = await contestant.requests(forSeconds * singleUsePerSecond)
      const options = { seconds: forSeconds, connections }
      return await Promise.all([measure(client, contestant, requests, options), meanwhile()])
    }
    await load(warmUpSeconds)
    const [sample, file] = await load(loads * seconds, () =>
      record(contestant.pid, (loads - 1) * seconds, folder),
    )
    say(`${Math.round(sample.perSecond)} answers/s under perf, ${Math.round(sample.cpu)} µs CPU each`)
    await contestant.stop()
    client.stop()
    removeSources(folder)
    return await readNativeProfile(file, contestant.pid, folder)
  })
  say(`\n${path} on ${store}: ${samples} samples`)
  sayShares("by place", places)
  say("\nby the nearest compiled function; in brackets what of it was spent in the runtime that it called")
  for (const { name, share, outside } of functions.slice(0, 2 * shown))
    say(`${(share * 100).toFixed(1).padStart(5)} % (${(outside * 100).toFixed(1)})  ${name}`)
  say(`\n${folder}`)
}

function sayShares(title: string, shares: readonly Share[]): void {
  say(`\n${title}`)
  for (const { name, share } of shares.slice(0, shown)) {
    say(`${(share * 100).toFixed(1).padStart(5)} %  ${name}`)
  }
}
