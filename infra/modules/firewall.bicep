// What Front Door turns away. Apart from it, so that a deployment without an image, which touches no app, can stop sales.

@description('What names start with.')
param baseName string

@description('Tags of every resource.')
param tags object

@description('Turn away whoever wants to order.')
param salesStopped bool

@description('Requests of one address in a minute, past which it is turned away for a while.')
param requestsAMinute int = 600

resource firewall 'Microsoft.Network/FrontDoorWebApplicationFirewallPolicies@2025-10-01' = {
  // letters and digits only
  name: '${replace(baseName, '-', '')}waf'
  location: 'global'
  tags: tags
  sku: {
    name: 'Premium_AzureFrontDoor'
  }
  properties: {
    policySettings: {
      enabledState: 'Enabled'
      mode: 'Prevention'
      requestBodyCheck: 'Enabled'
    }
    customRules: {
      rules: [
        {
          name: 'tooMany'
          enabledState: 'Enabled'
          priority: 100
          ruleType: 'RateLimitRule'
          rateLimitDurationInMinutes: 1
          rateLimitThreshold: requestsAMinute
          matchConditions: [
            {
              matchVariable: 'RequestUri'
              operator: 'Any'
              negateCondition: false
              matchValue: []
            }
          ]
          action: 'Block'
        }
        {
          // There always, so that a stop changes one word of it.
          name: 'salesStopped'
          enabledState: salesStopped ? 'Enabled' : 'Disabled'
          priority: 10
          ruleType: 'MatchRule'
          matchConditions: [
            {
              matchVariable: 'RequestMethod'
              operator: 'Equal'
              negateCondition: false
              matchValue: [
                'POST'
              ]
            }
            {
              matchVariable: 'RequestUri'
              operator: 'RegEx'
              negateCondition: false
              matchValue: [
                '/orders/?($|[?])'
              ]
            }
          ]
          action: 'Block'
        }
      ]
    }
    managedRules: {
      managedRuleSets: [
        {
          ruleSetType: 'Microsoft_DefaultRuleSet'
          ruleSetVersion: '2.1'
          ruleSetAction: 'Block'
        }
        {
          ruleSetType: 'Microsoft_BotManagerRuleSet'
          ruleSetVersion: '1.1'
        }
      ]
    }
  }
}

@description('The policy.')
output id string = firewall.id
