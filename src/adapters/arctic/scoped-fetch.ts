import { AsyncLocalStorage } from "node:async_hooks"

/**
 * Arctic calls the global `fetch`, without a time limit and without a way to hand it another. So one `fetch`
 * is installed over it that looks for a scope around the call; outside of any it passes straight through.
 */
export type ScopedFetch = (request: Request) => Promise<Response>

/** As it was before anything here was installed. */
export const nativeFetch: typeof fetch = globalThis.fetch

const scopes = new AsyncLocalStorage<ScopedFetch>()

let uninstall: (() => void) | undefined

/** Installs it, once however often it is called. What it returns takes it out again. */
export function installScopedFetch(): () => void {
  if (uninstall) return uninstall
  const outer = globalThis.fetch
  const scoped = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const scope = scopes.getStore()
    if (!scope) return outer(input, init)
    return scope(input instanceof Request && init === undefined ? input : new Request(input, init))
  }
  globalThis.fetch = Object.assign(scoped, { preconnect: outer.preconnect })
  uninstall = () => {
    globalThis.fetch = outer
    uninstall = undefined
  }
  return uninstall
}

/** Every `fetch` that the work makes, at whatever depth, goes to the given one. */
export function withinFetch<Result>(fetch: ScopedFetch, work: () => Promise<Result>): Promise<Result> {
  return scopes.run(fetch, work)
}
