import { mkdirSync } from "node:fs"
import { join } from "node:path"
import chromium from "@sparticuz/chromium"
import { type Browser, chromium as driver } from "playwright-core"

/** A real Chromium, brought by a package. Fails where it cannot start. */
export async function openBrowser(): Promise<Browser> {
  return driver.launch({
    executablePath: await chromium.executablePath(),
    args: [
      // In one process, as it is set up for small cloud functions, the browser would end with its first window.
      ...chromium.args.filter((arg) => arg !== "--single-process" && arg !== "--no-zygote"),
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
    headless: true,
  })
}

const folder = join(import.meta.dir, "../.artifacts")

/** Where a page's picture goes, for somebody to look at. */
export function picturePath(name: string): string {
  mkdirSync(folder, { recursive: true })
  return join(folder, `${name}.png`)
}
