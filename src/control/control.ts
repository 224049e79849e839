import { accountControl, type AccountControl } from './account.ts'
import { anomalyControl, type AnomalyControl } from './anomalies.ts'
import { attempts } from './attempts.ts'
import { auditControl, type AuditControl } from './audit.ts'
import { connectionControl, type ConnectionControl } from './connections.ts'
import { installationControl, type InstallationControl } from './installation-facts.ts'
import { invitationControl, type InvitationControl } from './invitations.ts'
import { keyControl, type KeyControl } from './keys.ts'
import { killSwitchControl, type KillSwitchControl } from './kill-switch.ts'
import { memberFactControl, type MemberFactControl } from './member-facts.ts'
import { memberControl, type MemberControl } from './members.ts'
import { observeControl, type ObserveControl } from './observe.ts'
import { oidcSignInControl, type OidcSignInControl } from './oidc-sign-in.ts'
import { organizationControl, type OrganizationControl } from './organization.ts'
import { policyControl, type PolicyControl } from './policies.ts'
import type { ControlPorts } from './ports.ts'
import { riskControl, type RiskControl } from './risk-map.ts'
import { sessionControl, type SessionControl } from './sessions.ts'
import { setupControl, type SetupControl } from './setup.ts'
import { signInControl, type SignInControl } from './sign-in.ts'
import { toolControl, type ToolControl } from './tools.ts'
import { signOnControl, type SignOnControl } from './sign-on.ts'

/**
 * Everything that people and their tools may do to this installation. REST, dashboard and command line are doors to it; the role
 * table is enforced inside each operation, so that no door can forget it.
 */
export interface Control {
  connections: ConnectionControl
  tools: ToolControl
  policies: PolicyControl
  keys: KeyControl
  sessions: SessionControl
  killSwitch: KillSwitchControl
  audit: AuditControl
  anomalies: AnomalyControl
  observe: ObserveControl
  risk: RiskControl
  organization: OrganizationControl
  setup: SetupControl
  signIn: SignInControl
  oidc: OidcSignInControl
  signOn: SignOnControl
  account: AccountControl
  members: MemberControl
  memberFacts: MemberFactControl
  installation: InstallationControl
  invitations: InvitationControl
}

/** One per database, shared by all doors: it keeps changes of the same thing in turn. */
export function makeControl(ports: ControlPorts): Control {
  // One count of wrong passwords, wherever they are typed.
  const limits = attempts(ports.clock)
  const signIn = signInControl(ports, limits)
  const invitations = invitationControl(ports)
  return {
    connections: connectionControl(ports),
    tools: toolControl(ports),
    policies: policyControl(ports),
    keys: keyControl(ports),
    sessions: sessionControl(ports),
    killSwitch: killSwitchControl(ports),
    audit: auditControl(ports),
    anomalies: anomalyControl(ports),
    observe: observeControl(ports),
    risk: riskControl(ports),
    organization: organizationControl(ports),
    setup: setupControl(ports),
    signIn,
    oidc: oidcSignInControl(ports, { limits, signIn, invitations }),
    signOn: signOnControl(ports),
    account: accountControl(ports, limits),
    members: memberControl(ports),
    memberFacts: memberFactControl(ports),
    installation: installationControl(ports),
    invitations,
  }
}
