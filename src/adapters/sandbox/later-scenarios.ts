import type { ProviderName } from "../../domain/provider.ts"
import type { Scenario } from "./scenarios.ts"

/** Connects that go well, and accounts that then fare badly: the grant carries the scenario on to the refreshes. */

const rotating: readonly ProviderName[] = ["x", "tiktok"]
const renewing: readonly ProviderName[] = ["x", "linkedin", "tiktok", "instagram"]

type Line = Pick<Scenario, "strikes" | "variant" | "delayMs"> & { readonly later: string }

/** One entry for each provider, since LinkedIn must be the partners' LinkedIn to have anything to refresh with. */
function on(providers: readonly ProviderName[], name: string, line: Line): readonly Scenario[] {
  return providers.map((provider) => ({
    name,
    providers: [provider],
    ends: "connected",
    ...(provider === "linkedin" ? partner : whole),
    ...line,
  }))
}

const whole = { does: "Grants everything." } as const

const partner = {
  does: "Grants everything, with a refresh token as for LinkedIn's approved partners.",
  variant: "partner_refresh",
} as const

export const laterScenarios: readonly Scenario[] = [
  ...on(["x", "linkedin", "tiktok"], "refresh_rate_limited", {
    later: "Every refresh answers 429 and asks to wait a minute.",
    strikes: { at: "refresh", with: "rate_limited" },
  }),
  ...on(["instagram"], "refresh_rate_limited", {
    later: "Every refresh is one too many, which Meta says with error code 4 and no time to wait.",
    strikes: { at: "refresh", with: "rate_limited" },
  }),
  ...on(renewing, "refresh_down", {
    later: "Every refresh answers 503.",
    strikes: { at: "refresh", with: "down" },
  }),
  ...on(renewing, "refresh_fails_once", {
    later: "The first refresh answers 503 and changes nothing; those after it are good.",
    strikes: { at: "refresh", with: "down", once: true },
  }),
  ...on(renewing, "refresh_hang", {
    later: "No refresh is ever answered, and none takes place.",
    strikes: { at: "refresh", with: "hang" },
  }),
  ...on(renewing, "refresh_slow", {
    later:
      "Every refresh takes place at once and is answered after three seconds (delay_ms= sets another time).",
    delayMs: 3000,
  }),
  ...on(rotating, "refresh_lost", {
    later: "The refresh takes place, but the connection breaks before its answer: the old token is used up.",
    strikes: { at: "refreshed", with: "unreachable" },
  }),
  ...on(renewing, "refresh_refused", {
    later: "Every refresh is refused: the person must connect again.",
    strikes: { at: "refresh", with: "dead_refresh_token" },
  }),
  ...on(["x", "linkedin", "tiktok"], "refresh_wrong_secret", {
    later: "Every refresh is refused for the client secret, as after it was replaced in the console.",
    strikes: { at: "refresh", with: "wrong_secret" },
  }),
  ...on(["x"], "refresh_no_rotation", {
    later: "A refresh answers without a refresh token, and the old one goes on working.",
    variant: "no_rotation",
  }),
  ...on(["tiktok"], "refresh_no_rotation", {
    later: "A refresh answers with an empty refresh token, and the old one goes on working.",
    variant: "no_rotation",
  }),
  ...on(["x", "linkedin", "tiktok", "facebook"], "revoke_fails", {
    later: "Ending the grant answers 503, and the tokens go on working.",
    strikes: { at: "revoke", with: "down" },
  }),
]
