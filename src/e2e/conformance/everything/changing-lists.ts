import type { McpServer } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

/** Tells the open streams of the modern era that a list is another one now. */
export interface ListChanges {
  toolsChanged(): void
  promptsChanged(): void
}

export function addListChangingTools(server: McpServer, changes: () => ListChanges): void {
  server.registerTool('test_trigger_tool_change', { description: 'Announces that the list of tools changed.' }, () => {
    changes().toolsChanged()
    return text('Announced.')
  })
  server.registerTool('test_trigger_prompt_change', { description: 'Announces that the list of prompts changed.' }, () => {
    changes().promptsChanged()
    return text('Announced.')
  })
}
