import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { storageContract } from "../contract/storage.ts"

storageContract("memory", async () => memoryStorage())
