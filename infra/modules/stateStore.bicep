// A service's Dapr state store: a container of its own in the account, reached by the sidecar as the service's user-assigned
// identity, which is there before the app. Dapr fixes the partition key; everything of a store is in one logical partition.

@description('Which one: {service, name, container}.')
param store object

@description('The environment of the container apps.')
param environmentName string

@description('The account.')
param cosmosName string

@description('Where it answers.')
param cosmosEndpoint string

@description('The database in it.')
param cosmosDatabase string

@description('Without reserved throughput.')
param serverless bool

@description('The most request units a second, where it is not serverless.')
param maxThroughput int

@description('The service\'s user-assigned identity: its principal.')
param principalId string

@description('Its client id, which the sidecar signs in as.')
param clientId string

@description('How often and how soon the sidecar tries: {outboundPolicy}.')
param resiliency object

resource appsEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' existing = {
  name: environmentName
}

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: cosmosName
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2026-03-15' existing = {
  parent: account
  name: cosmosDatabase
}

resource collection 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2026-03-15' = {
  parent: database
  name: store.container.id
  properties: {
    resource: store.container
    options: serverless ? {} : {
      autoscaleSettings: {
        maxThroughput: maxThroughput
      }
    }
  }
}

// Cosmos DB Built-in Data Contributor, on this container alone.
resource contributor 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = {
  parent: account
  name: guid(account.id, store.container.id, principalId)
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002'
    principalId: principalId
    scope: '${account.id}/dbs/${cosmosDatabase}/colls/${collection.name}'
  }
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
        value: collection.name
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
  dependsOn: [
    contributor
  ]
}

resource tries 'Microsoft.App/managedEnvironments/daprComponents/resiliencyPolicies@2026-07-01' = {
  parent: component
  name: 'tries'
  properties: resiliency
}
