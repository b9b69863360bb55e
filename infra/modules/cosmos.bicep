// The store that the platform makes for itself: one container a service, a logical partition an aggregate, backed up
// continuously. Keys are off. Who reaches which container, from where, and where its logs go is said apart, of this
// account or of a restored one (cosmosAccess.bicep).

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

@description('Closed to the outside: it is reached through its private endpoint alone.')
param isPrivate bool

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

@description('Its name, once all of it is there.')
output name string = account.name
