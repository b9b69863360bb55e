// The store: one container a service, a logical partition an aggregate, backed up continuously. Keys are off: every
// service signs in as itself and reaches its own containers only.

@description('Its name, unique in Azure: 3 to 44 characters.')
@minLength(3)
@maxLength(44)
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('A second region to fail over to; empty for none.')
param secondaryLocation string

@description('Spread over availability zones.')
param zoneRedundant bool

@description('Without reserved throughput.')
param serverless bool

@description('The most request units a second of each container, by its name, where it is not serverless.')
param maxThroughput object

@description('How far back it can be restored.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param backupTier string

@description('The name of the database.')
param databaseName string

@description('The consistency that the store\'s code counts on.')
param consistency string

@description('The containers: {resource, serviceIndex}.')
param containers array

@description('The services\' identities, in their order.')
param principalIds array

@description('Where its logs go.')
param workspaceId string

@description('The subnet of its private endpoint; empty: it is reached over the public address.')
param privateEndpointsSubnetId string

@description('The network of that subnet.')
param networkId string

var isPrivate = !empty(privateEndpointsSubnetId)
var primary = [
  {
    locationName: location
    failoverPriority: 0
    isZoneRedundant: zoneRedundant
  }
]
var secondary = [
  {
    locationName: secondaryLocation
    failoverPriority: 1
    isZoneRedundant: zoneRedundant
  }
]

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' = {
  // checkov:skip=CKV_AZURE_101:Disabled wherever there is a network (prod); a trial without one has keys off and roles on.
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: empty(secondaryLocation) ? primary : concat(primary, secondary)
    enableAutomaticFailover: !empty(secondaryLocation)
    enableMultipleWriteLocations: false
    consistencyPolicy: {
      defaultConsistencyLevel: consistency
    }
    capabilities: serverless ? [
      {
        name: 'EnableServerless'
      }
    ] : []
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: backupTier
      }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2026-03-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: {
      id: databaseName
    }
  }
}

resource collections 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2026-03-15' = [for container in containers: {
  parent: database
  name: container.resource.id
  properties: {
    resource: container.resource
    options: serverless ? {} : {
      autoscaleSettings: {
        maxThroughput: maxThroughput[container.resource.id]
      }
    }
  }
}]

// Cosmos DB Built-in Data Contributor, on one container. It is a role of the data plane, which RBAC does not know.
// One after the other: an account takes one such change at a time, and answers 412 to a second.
@batchSize(1)
resource contributors 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = [for (container, i) in containers: {
  parent: account
  name: guid(account.id, container.resource.id, principalIds[container.serviceIndex])
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002'
    principalId: principalIds[container.serviceIndex]
    scope: '${account.id}/dbs/${database.name}/colls/${collections[i].name}'
  }
}]

module endpoint 'privateEndpoint.bicep' = if (isPrivate) {
  name: 'store-endpoint'
  params: {
    name: '${name}-store-endpoint'
    location: location
    tags: tags
    targetId: account.id
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
    subnetId: privateEndpointsSubnetId
    networkId: networkId
  }
  dependsOn: [
    contributors
  ]
}

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

@description('Its name.')
output name string = account.name

@description('The account.')
output id string = account.id

@description('Where it answers.')
output endpoint string = account.properties.documentEndpoint
