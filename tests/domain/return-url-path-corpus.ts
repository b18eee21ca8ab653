import { addressRefusals, app, nested, type Refusal } from "./return-url-corpus.ts"

const pathRefusals: readonly Refusal[] = [
  {
    rule: "a malformed escape in the path",
    says: "malformed escape",
    addresses: [
      `${app}/%`,
      `${app}/%2`,
      `${app}/%zz`,
      `${app}/%2%66`,
      `${app}/%%32f`,
      `${app}/%u002f`,
      `${app}/%u2215`,
      `${app}/connect/%c`,
      `${app}/%\uFF12f`,
      `${app}/100%`,
    ],
  },
  {
    rule: "an encoded slash, backslash, dot or control character in the path, however deep",
    says: "encoded slash, backslash, dot or control character",
    addresses: [
      ...["%2f", "%2F", "%5c", "%5C", "%2e", "%2E", "%00", "%09", "%0a", "%0D", "%1f", "%7f", "%7F"].map(
        (hidden) => `${app}/connect/a${hidden}b`,
      ),
      ...["%c2%80", "%C2%85", "%c2%9f"].map((hidden) => `${app}/${hidden}`),
      ...[1, 2, 3, 4, 5].flatMap((depth) =>
        ["%2f", "%5C", "%2e", "%00", "%0a"].map((hidden) => `${app}/${nested(hidden, depth)}`),
      ),
      ...[1, 2, 3, 4].map((depth) => `${app}/${nested("%c2%85", depth)}`),
      `${app}/connect/%2e%2e/admin`,
      `${app}/connect/.%2e/admin`,
      `${app}/connect/%2e./admin`,
      `${app}/%2e`,
      `${app}/connect%2f..%2fadmin`,
      `${app}/connect/..%5cadmin`,
      `${app}/connect/%252e%252e%252fadmin`,
      `${app}/%25%32%66`,
      `${app}/%25%32%65`,
      `${app}/%252%66`,
      `${app}/%2525%32%66`,
      `${app}/%25%35%63`,
      `${app}/%c2%2585`, // the two bytes of one control character, encoded once and twice
      `${app}/%25c2%85`,
      `${app}/%25u002f`,
      `${app}/%25u2215`,
      `${app}/%c0%af`, // overlong UTF-8: what a lax decoder reads as / . \ and NUL
      `${app}/%C0%AE%C0%AE/admin`,
      `${app}/%c1%9c`,
      `${app}/%c0%80`,
      `${app}/%e0%80%af`,
      `${app}/%f0%80%80%ae`,
      `${app}/%25c0%25af`,
      `${app}/%c0%25af`,
    ],
  },
  {
    rule: "a segment of dots with a parameter",
    says: "dots with a parameter",
    addresses: [
      `${app}/..;/admin`,
      `${app}/connect/..;/admin`,
      `${app}/connect/..;x=y/admin`,
      `${app}/connect/..;`,
      `${app}/.;/admin`,
      `${app}/...;x`,
      `${app}/connect/..%3b/admin`,
      `${app}/connect/..%3Bx`,
      `${app}/connect/..%253b/admin`,
      `${app}/connect/..;/../connect`,
    ],
  },
  {
    rule: "escapes within escapes without end",
    says: "over and over",
    addresses: [
      `${app}/${nested("%", 6)}`,
      `${app}/${nested("%", 20)}`,
      `${app}/${nested("%2f", 6)}`,
      `${app}/${nested("%", 1010)}`, // as many as 2,048 characters hold
      `${app}/${"%2525252525252541/".repeat(110)}`,
    ],
  },
]

/** Every spelling under which some framework would read a name of ours out of the query. */
const resultRefusals: Refusal = {
  rule: "a query that brings a result of its own",
  says: "Mooring adds",
  addresses: [
    ...["connected", "connect_code", "oauth_error"].flatMap((name) => [
      `${app}/?${name}=x`,
      `${app}/?${name}`,
      `${app}/?${name}=`,
      `${app}/?a=b&${name}=x`,
      `${app}/?&&${name}&&`,
      `${app}/?a=b;${name}=x`,
      `${app}/?;${name}`,
      `${app}/?a=b&amp;${name}=x`,
      `${app}/?+${name}=x`,
      `${app}/?${name}+=x`,
      `${app}/?%20${name}=x`,
      `${app}/?%09${name}%0a=x`,
      `${app}/?%${name.charCodeAt(0).toString(16)}${name.slice(1)}=x`,
      `${app}/?${[...name].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("")}=x`,
      `${app}/?${name}[]=x`,
      `${app}/?${name}%5B%5D=x`,
      `${app}/?${name}[a][b]=x`,
      `${app}/?${name}[`,
      `${app}/?${name}%00=x`,
      `${app}/?${name}%00tail=x`,
      `${app}/?${name.toUpperCase()}=x`,
      `${app}/?${name[0]?.toUpperCase()}${name.slice(1)}=x`,
    ]),
    `${app}/?oauth.error=x`,
    `${app}/?oauth+error=x`,
    `${app}/?oauth%20error=x`,
    `${app}/?oauth[error=x`,
    `${app}/?oauth%5Ferror=x`,
    `${app}/?connect.code=x`,
    `${app}/?connect+code=x`,
    `${app}/?connect%20code=x`,
    `${app}/?connect[code=x`,
    `${app}/?connect%5Fcode=x`,
  ],
}

export const refusals: readonly Refusal[] = [...addressRefusals, ...pathRefusals, resultRefusals]
