// What a store does not bring along when it is restored or was moved here: each service's right to its own containers,
// and where its logs go. For the account that the platform made, and for one that was there already.

@description('The account.')
param accountName string

@description('The name of its database.')
param databaseName string

@description('The containers: {resource, serviceIndex}.')
param containers array

@description('The services\' identities, in their order.')
param principalIds array

@description('Where its logs go.')
param workspaceId string

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: accountName
}

// Cosmos DB Built-in Data Contributor, on one container. It is a role of the data plane, which RBAC does not know.
// One after the other: an account takes one such change at a time, and answers 412 to a second.
@batchSize(1)
resource contributors 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = [for container in containers: {
  parent: account
  name: guid(account.id, container.resource.id, principalIds[container.serviceIndex])
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002'
    principalId: principalIds[container.serviceIndex]
    scope: '${account.id}/dbs/${databaseName}/colls/${container.resource.id}'
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
      {
        category: 'PartitionKeyRUConsumption'
        enabled: true
      }
    ]
  }
}

@description('The account.')
output id string = account.id

@description('Its name, once the roles are given.')
output name string = account.name

@description('Where it answers.')
output endpoint string = account.properties.documentEndpoint
