// Where the container apps run, and what their Dapr sidecars know: the broker as `events`, and how deliveries are
// retried.

@description('Its name.')
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('Where logs go.')
param workspaceId string

@description('The subnet for the apps; empty: no network of ours.')
param infrastructureSubnetId string

@description('Spread over availability zones; takes the subnet.')
param zoneRedundant bool

@description('Whether the apps\' addresses answer outside of private links: Enabled, Disabled.')
param publicNetworkAccess string

@description('The app ids that may use the components.')
param serviceNames array

@description('The broker\'s host.')
param serviceBusHost string

@description('Application Insights, where the sidecars\' spans go.')
param applicationInsightsName string

@description('How often and how soon an event is published and delivered again: {inboundPolicy, outboundPolicy}.')
param resiliency object

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource appsEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // Not left to Azure: beside the destination azure-monitor others' were taken for Express, and refused (October 2026,
    // ExpressEnvironmentFeatureNotSupported). Express has no vault references, managed identities or suffixes.
    environmentMode: 'WorkloadProfiles'
    zoneRedundant: zoneRedundant
    publicNetworkAccess: publicNetworkAccess
    vnetConfiguration: empty(infrastructureSubnetId) ? null : {
      infrastructureSubnetId: infrastructureSubnetId
      internal: false
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    peerTrafficConfiguration: {
      encryption: {
        enabled: true
      }
    }
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    // The sidecars' own spans. What a service does not record (traceShare) they don't either: each call says so.
    daprAIConnectionString: insights.properties.ConnectionString
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: appsEnvironment
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

// Topics and subscriptions are there already (serviceBus.bicep) and the sidecar may not make any. The consumer id is
// the app id, so each service has the subscription of its name. Without azureClientId the sidecar signs in as the
// system-assigned identity of its own app: one component for all, and each may do only what its service does.
resource events 'Microsoft.App/managedEnvironments/daprComponents@2026-07-01' = {
  parent: appsEnvironment
  name: 'events'
  properties: {
    componentType: 'pubsub.azure.servicebus.topics'
    version: 'v1'
    initTimeout: '60s'
    ignoreErrors: false
    metadata: [
      {
        name: 'namespaceName'
        value: serviceBusHost
      }
      {
        name: 'disableEntityManagement'
        value: 'true'
      }
      {
        // As long as all retries of one delivery may take; the lock is renewed meanwhile.
        name: 'handlerTimeoutInSec'
        value: '600'
      }
      {
        name: 'lockRenewalInSec'
        value: '20'
      }
      {
        name: 'maxActiveMessages'
        value: '400'
      }
      {
        name: 'maxConcurrentHandlers'
        value: '200'
      }
      {
        name: 'publishMaxRetries'
        value: '5'
      }
    ]
    scopes: serviceNames
  }
}

// Without it an event whose handler answers RETRY once is a dead letter: Dapr itself retries nothing.
resource redelivery 'Microsoft.App/managedEnvironments/daprComponents/resiliencyPolicies@2026-07-01' = {
  parent: events
  name: 'redelivery'
  properties: resiliency
}

@description('The environment.')
output environmentId string = appsEnvironment.id

@description('Its name.')
output environmentName string = appsEnvironment.name

@description('The domain of its addresses: an app without access from outside is <app>.internal.<domain>.')
output domain string = appsEnvironment.properties.defaultDomain
