// A service's Dapr state store over a container of its own, reached by the sidecar as the service's user-assigned identity,
// which is there, with its right to the container, before the app. All of a store is in one logical partition.

@description('Which one: {service, name, resource}.')
param store object

@description('The environment of the container apps.')
param environmentName string

@description('Where the account answers.')
param cosmosEndpoint string

@description('The database in the account.')
param cosmosDatabase string

@description('The client id of the service\'s user-assigned identity, which the sidecar signs in as.')
param clientId string

@description('How often and how soon the sidecar tries: {outboundPolicy}.')
param resiliency object

resource appsEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' existing = {
  name: environmentName
}

resource component 'Microsoft.App/managedEnvironments/daprComponents@2026-07-01' = {
  parent: appsEnvironment
  name: store.name
  properties: {
    componentType: 'state.azure.cosmosdb'
    version: 'v1'
    initTimeout: '60s'
    ignoreErrors: false
    metadata: [
      {
        name: 'url'
        value: cosmosEndpoint
      }
      {
        name: 'database'
        value: cosmosDatabase
      }
      {
        name: 'collection'
        value: store.resource.id
      }
      {
        name: 'azureClientId'
        value: clientId
      }
    ]
    scopes: [
      store.service
    ]
  }
}

resource tries 'Microsoft.App/managedEnvironments/daprComponents/resiliencyPolicies@2026-07-01' = {
  parent: component
  name: 'tries'
  properties: resiliency
}
