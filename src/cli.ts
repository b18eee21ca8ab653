import { run } from "./main.ts"

const terminal = {
  print: (text: string) => void process.stdout.write(`${text}\n`),
  complain: (text: string) => void process.stderr.write(`${text}\n`),
}

process.exitCode = await run(process.argv.slice(2), process.env, terminal)
