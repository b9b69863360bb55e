// The address that buyers know: Front Door with a web application firewall, before an environment that is closed to
// the outside and reached through Front Door's private link alone.

@description('What names start with.')
param baseName string

@description('A part of the endpoint\'s name that nobody else has.')
param unique string

@description('Tags of every resource.')
param tags object

@description('Where the environment of the apps is: the private link is made there.')
param environmentLocation string

@description('The environment of the apps.')
param environmentId string

@description('The host of the apps\' address.')
param originHost string

@description('The name that buyers type: tickets.example.com; empty for Front Door\'s own.')
param domain string

@description('The firewall, as a policy.')
param firewallId string

@description('Where its logs go.')
param workspaceId string

resource profile 'Microsoft.Cdn/profiles@2026-10-01' = {
  name: '${baseName}-front'
  location: 'global'
  tags: tags
  sku: {
    // Premium: the Standard one has no private link and none of the managed rules.
    name: 'Premium_AzureFrontDoor'
  }
  properties: {
    originResponseTimeoutSeconds: 60
  }
}

resource endpoint 'Microsoft.Cdn/profiles/afdEndpoints@2026-10-01' = {
  parent: profile
  name: '${baseName}-${take(unique, 6)}'
  location: 'global'
  tags: tags
  properties: {
    enabledState: 'Enabled'
  }
}

resource origins 'Microsoft.Cdn/profiles/originGroups@2026-10-01' = {
  parent: profile
  name: 'api'
  properties: {
    loadBalancingSettings: {
      sampleSize: 4
      successfulSamplesRequired: 2
      additionalLatencyInMilliseconds: 0
    }
    healthProbeSettings: {
      probePath: '/concerts?limit=1'
      probeRequestType: 'GET'
      probeProtocol: 'Https'
      probeIntervalInSeconds: 60
    }
    sessionAffinityState: 'Disabled'
  }
}

resource origin 'Microsoft.Cdn/profiles/originGroups/origins@2026-10-01' = {
  parent: origins
  name: 'apps'
  properties: {
    hostName: originHost
    originHostHeader: originHost
    httpsPort: 443
    enabledState: 'Enabled'
    enforceCertificateNameCheck: true
    sharedPrivateLinkResource: {
      privateLink: {
        id: environmentId
      }
      privateLinkLocation: environmentLocation
      groupId: 'managedEnvironments'
      requestMessage: 'Front Door of ${baseName}'
    }
  }
}

resource named 'Microsoft.Cdn/profiles/customDomains@2026-10-01' = if (!empty(domain)) {
  parent: profile
  name: 'buyers'
  properties: {
    hostName: domain
    tlsSettings: {
      certificateType: 'ManagedCertificate'
      minimumTlsVersion: 'TLS12'
    }
  }
}

resource route 'Microsoft.Cdn/profiles/afdEndpoints/routes@2026-10-01' = {
  parent: endpoint
  name: 'all'
  properties: {
    customDomains: empty(domain) ? [] : [
      {
        id: named.id
      }
    ]
    originGroup: {
      id: origins.id
    }
    patternsToMatch: [
      '/*'
    ]
    supportedProtocols: [
      'Https'
    ]
    httpsRedirect: 'Disabled'
    forwardingProtocol: 'HttpsOnly'
    linkToDefaultDomain: empty(domain) ? 'Enabled' : 'Disabled'
    enabledState: 'Enabled'
  }
  dependsOn: [
    origin
  ]
}

resource guarded 'Microsoft.Cdn/profiles/securityPolicies@2026-10-01' = {
  parent: profile
  name: 'firewall'
  properties: {
    parameters: {
      type: 'WebApplicationFirewall'
      wafPolicy: {
        id: firewallId
      }
      associations: [
        {
          domains: concat([
            {
              id: endpoint.id
            }
          ], empty(domain) ? [] : [
            {
              id: named.id
            }
          ])
          patternsToMatch: [
            '/*'
          ]
        }
      ]
    }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: profile
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FrontDoorWebApplicationFirewallLog'
        enabled: true
      }
      {
        category: 'FrontDoorHealthProbeLog'
        enabled: true
      }
    ]
  }
}

@description('The host that buyers use.')
output host string = empty(domain) ? endpoint.properties.hostName : domain

@description('What a CNAME of the domain leads to.')
output endpointHost string = endpoint.properties.hostName
