import { statSync } from "node:fs"
import { join } from "node:path"
import { entry, productionEnv } from "../harness/mooring.ts"
import type { Options } from "../harness/options.ts"
import { root, type Server, startServer, temporaryFolder } from "../harness/process.ts"
import { keepResult, kept, say, sayTable, told } from "../harness/report.ts"
import { rounded, spreadOf } from "../harness/statistics.ts"
import { contestantsFolder } from "../harness/world.ts"

const idleMs = 5_000
const idleSamples = 3
const megabyte = 1024 ** 2

interface Kind {
  readonly name: string
  readonly command: readonly string[]
  readonly readyPath: string
}

interface Found {
  readonly fresh: number[]
  readonly again: number[]
  readonly resident: number[]
}

/** From the start of the process to its first answer, with and without a database to make, and memory at rest. */
export async function startup(options: Options): Promise<void> {
  const file = await buildSingleFile("mooring", ["run", "build"])
  const framework = join(contestantsFolder, "bare-elysia.ts")
  const frameworkFile = await buildSingleFile("elysia", [
    "build",
    "--compile",
    "--minify",
    "--bytecode",
    framework,
  ])
  const kinds: Kind[] = [
    {
      name: "Bun.serve alone",
      command: [process.execPath, join(contestantsFolder, "bare.ts")],
      readyPath: "/",
    },
    { name: "Elysia alone, from source", command: [process.execPath, framework], readyPath: "/" },
    { name: "Mooring, from source", command: [process.execPath, entry, "serve"], readyPath: "/readyz" },
  ]
  if (frameworkFile)
    kinds.push({ name: "Elysia alone, single file", command: [frameworkFile], readyPath: "/" })
  if (file) kinds.push({ name: "Mooring, single file", command: [file, "serve"], readyPath: "/readyz" })
  const found = kinds.map((): Found => ({ fresh: [], again: [], resident: [] }))
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < kinds.length; turn++) {
      const i = (turn + round) % kinds.length
      const kind = kinds[i]
      if (kind) await once(kind, found[i], round < idleSamples)
    }
  }
  tell(kinds, found, file, options)
}

/** A first start and another one on what the first has made. */
async function once(kind: Kind, found: Found | undefined, rest: boolean): Promise<void> {
  const folder = temporaryFolder()
  const begin = (): Promise<Server> =>
    startServer({ command: kind.command, env: productionEnv, readyPath: kind.readyPath, folder })
  const first = await begin()
  found?.fresh.push(first.readyAfterMs)
  await first.stop()
  const second = await begin()
  found?.again.push(second.readyAfterMs)
  if (rest) {
    await Bun.sleep(idleMs)
    found?.resident.push(second.resident() / megabyte)
  }
  await second.stop()
}

/** A program with all that it needs in one file; undefined, with what was said, where it cannot be made. */
async function buildSingleFile(name: string, command: readonly string[]): Promise<string | undefined> {
  const file = join(temporaryFolder(), name)
  const build = Bun.spawn([process.execPath, ...command, "--outfile", file], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  })
  const complaint = await new Response(build.stderr).text()
  if ((await build.exited) === 0) return file
  say(`The single file of ${name} could not be built, so it is left out:\n${complaint.slice(-1000)}`)
  return undefined
}

function tell(
  kinds: readonly Kind[],
  found: readonly Found[],
  file: string | undefined,
  options: Options,
): void {
  say(`\nstartup, ${options.rounds} starts of each, ms to the first answer`)
  const rows = kinds.map(({ name }, i) => {
    const { fresh = [], again = [], resident = [] } = found[i] ?? {}
    return { name, fresh: spreadOf(fresh), again: spreadOf(again), resident: spreadOf(resident) }
  })
  sayTable([
    ["", "first start", "again", "MB resident after 5 s"],
    ...rows.map(({ name, fresh, again, resident }) => [name, told(fresh), told(again), told(resident)]),
  ])
  const size = file ? rounded(statSync(file).size / megabyte) : null
  if (size !== null) say(`the single file has ${size} MB`)
  if (!options.keep) return
  keepResult("startup", {
    starts: options.rounds,
    single_file_megabytes: size,
    unit: "milliseconds to the first answer, and megabytes resident 5 s later: median and quartiles",
    kinds: Object.fromEntries(
      rows.map(({ name, fresh, again, resident }) => [
        name,
        { first_start: kept(fresh), again: kept(again), resident: kept(resident) },
      ]),
    ),
  })
}
