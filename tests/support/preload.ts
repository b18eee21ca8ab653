import { setDefaultTimeout } from "bun:test"

// A test may be the first to need a database or a browser, and these machines are shared.
setDefaultTimeout(60_000)
