import { Elysia } from "elysia"
import type { ChooseAccounts, ChoosingPage } from "../../application/choose-accounts.ts"
import { isProviderName } from "../../domain/provider.ts"
import { answerBrowser } from "./connect-routes.ts"
import { contextOf } from "./context.ts"
import { readForm } from "./json-body.ts"
import { choosingPage, refusalPage } from "./pages.ts"

/**
 * Our own small page on which a person chooses among several accounts. The signed ticket in its address is the
 * only credential; it holds no token, and none is ever in an address.
 */
export function choosingRoutes(choose: ChooseAccounts) {
  const ticketOf = (request: Request) => {
    const tickets = new URL(request.url).searchParams.getAll("ticket")
    return tickets.length === 1 ? (tickets[0] ?? "") : ""
  }
  const answer = (request: Request, page: ChoosingPage) =>
    page.kind === "choices" ? choosingPage(page.flow, page.choices) : answerBrowser(request, page)

  return new Elysia({ prefix: "/v1/oauth" })
    .get("/:provider/choose", async ({ params, request }) => {
      if (!isProviderName(params.provider)) return refusalPage("state_invalid", contextOf(request).id)
      return answer(request, await choose.show(params.provider, ticketOf(request)))
    })
    .post("/:provider/choose", async ({ params, request }) => {
      if (!isProviderName(params.provider)) return refusalPage("state_invalid", contextOf(request).id)
      const form = await readForm(request)
      const chosen = form.has("none") ? [] : form.getAll("account")
      return answer(request, await choose.submit(params.provider, ticketOf(request), chosen))
    })
}
