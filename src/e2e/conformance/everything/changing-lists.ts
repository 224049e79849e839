import type { McpServer } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

/** Tells the open streams that a list, or a resource, is another one now. */
export interface ListChanges {
  toolsChanged(): void
  promptsChanged(): void
  resourceUpdated(uri: string): void
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
  server.registerTool('test_trigger_resource_update', { description: 'Announces that the watched resource is another one now.' }, () => {
    changes().resourceUpdated('test://watched-resource')
    return text('Announced.')
  })
}
