export const providerNames = ["instagram", "facebook", "x", "linkedin", "tiktok"] as const

export type ProviderName = (typeof providerNames)[number]

export function isProviderName(text: string): text is ProviderName {
  return (providerNames as readonly string[]).includes(text)
}

/** The providers' own spelling, for sentences and pages. */
export const providerTitle: Readonly<Record<ProviderName, string>> = {
  instagram: "Instagram",
  facebook: "Facebook",
  x: "X",
  linkedin: "LinkedIn",
  tiktok: "TikTok",
}

/** What an app asks for unless it says otherwise: enough to know the account and to publish for it. */
export const defaultScopes: Readonly<Record<ProviderName, readonly string[]>> = {
  instagram: ["instagram_business_basic", "instagram_business_content_publish"],
  facebook: ["pages_show_list", "pages_read_engagement", "pages_manage_posts", "business_management"],
  x: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
  linkedin: ["openid", "profile", "w_member_social"],
  tiktok: ["user.info.basic", "user.info.profile", "video.publish", "video.upload"],
}

/** Requested but not granted, in the order they were asked for. */
export function missingScopes(requested: readonly string[], granted: readonly string[]): readonly string[] {
  return requested.filter((scope) => !granted.includes(scope))
}
