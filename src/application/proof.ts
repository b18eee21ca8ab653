import type { ConnectFlow } from "../domain/connect-flow.ts"
import type { Signer } from "../ports/crypto.ts"

/**
 * Proof that whoever comes back with a `connect_code` is who consented. The code is a MAC that only the callback
 * that took the flow can be answered with: it is made over that callback's own authorization code, which the
 * provider gave to nobody else's browser. So nothing secret is stored, the same callback always gets the same
 * code, and whoever merely knows flow and state gets none.
 */

/** What a flow remembers of the callback that took it. `carried` is the callback's code, or its error. */
export function callbackMac(signer: Signer, flowId: string, carried: string): string {
  return signer.sign("callback", `${flowId}.${carried}`)
}

/** Whether a callback is a repetition of the very one that took the flow. */
export function tookFlow(signer: Signer, flow: ConnectFlow, carried: string): boolean {
  return flow.callbackMac !== null && signer.verify("callback", `${flow.id}.${carried}`, flow.callbackMac)
}

export function connectCode(signer: Signer, flow: ConnectFlow): string {
  return signer.sign("proof", proofMessage(flow))
}

/** In constant time. */
export function fitsConnectCode(signer: Signer, flow: ConnectFlow, code: string): boolean {
  return signer.verify("proof", proofMessage(flow), code)
}

function proofMessage(flow: ConnectFlow): string {
  if (flow.callbackMac === null) throw new Error("a flow that nobody came back from has no proof")
  return `${flow.id}.${flow.callbackMac}`
}
