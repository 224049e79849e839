import { runCommandLine } from './cli/index.ts'
import { processTerminal } from './cli/terminal.ts'

const terminal = processTerminal()

runCommandLine(process.argv.slice(2), terminal).then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    // A bug or a broken machine. The message helps; a stack would only hide it.
    terminal.say(`igris: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
