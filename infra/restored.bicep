// A restored store, taken in beside the one in use: what a restore leaves behind (roles, the private endpoint, logs) is
// given to it, and nothing else is touched: apps, alerts and the other store stay as they are. `cludale restore drill`
// deploys this; main.bicep with `existingCosmosName` gives the same to the store that is then used.
targetScope = 'resourceGroup'

@description('Which of the environments this is, as main.bicep has it; part of every name.')
param environmentName string

@description('Where everything is.')
param location string = resourceGroup().location

@description('The restored account, in this resource group.')
@maxLength(44)
param accountName string

@description('Closed to the outside: through a private endpoint in the platform\'s network.')
param privateNetwork bool = false

var catalogue = loadJsonContent('generated/catalogue.json')

var baseName = 'cludale-${environmentName}'
var tags = {
  application: 'cludale-tickets'
  environment: environmentName
}

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [for service in catalogue.services: {
  name: '${baseName}-${service.name}'
}]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: '${baseName}-logs'
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' existing = {
  name: '${baseName}-network'
}

resource endpoints 'Microsoft.Network/virtualNetworks/subnets@2026-03-01' existing = {
  parent: network
  name: 'private-endpoints'
}

module access 'modules/cosmosAccess.bicep' = {
  name: 'restored-access'
  params: {
    accountName: accountName
    databaseName: catalogue.cosmos.database
    containers: catalogue.cosmos.containers
    principalIds: [for (service, i) in catalogue.services: identities[i].properties.principalId]
    workspaceId: workspace.id
  }
}

// After the roles: an account takes one change at a time.
module endpoint 'modules/privateEndpoint.bicep' = if (privateNetwork) {
  name: 'restored-endpoint'
  params: {
    name: '${access.outputs.name}-store-endpoint'
    location: location
    tags: tags
    targetId: access.outputs.id
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
    subnetId: endpoints.id
    networkId: network.id
  }
}

@description('Where it answers.')
output cosmosEndpoint string = access.outputs.endpoint
