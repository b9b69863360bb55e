// Where the exported audit log is kept for years. That its container can't be changed or emptied is a policy which is
// set and locked by two commands (docs/run/recovery.md): a locked one refuses a template that names it again.

@description('Its name, unique in Azure: 3 to 24 letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('The object id of who uploads; empty for nobody.')
param writerPrincipalId string

@description('What kind of principal that is.')
param writerPrincipalType string

@description('Where its logs go.')
param workspaceId string

@description('The subnet for its private endpoint; empty: it is reached from outside.')
param privateEndpointsSubnetId string

@description('The network of that subnet.')
param networkId string

var isPrivate = !empty(privateEndpointsSubnetId)
var blobContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')

resource account 'Microsoft.Storage/storageAccounts@2026-09-01' = {
  // checkov:skip=CKV_AZURE_35:In a network of its own it denies; without one there is no private address, and nobody gets in without a role.
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_GRS'
  }
  properties: {
    accessTier: 'Cool'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-09-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: 30
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 30
    }
  }
}

resource log 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-09-01' = {
  parent: blobs
  name: 'audit'
  properties: {
    publicAccess: 'None'
  }
}

resource writer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(writerPrincipalId)) {
  name: guid(log.id, writerPrincipalId, blobContributor)
  scope: log
  properties: {
    roleDefinitionId: blobContributor
    principalId: writerPrincipalId
    principalType: writerPrincipalType
  }
}

module endpoint 'privateEndpoint.bicep' = if (isPrivate) {
  name: 'archive-endpoint'
  params: {
    name: '${name}-endpoint'
    location: location
    tags: tags
    targetId: account.id
    groupId: 'blob'
    zoneName: 'privatelink.blob.${environment().suffixes.storage}'
    subnetId: privateEndpointsSubnetId
    networkId: networkId
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

@description('Its name.')
output name string = account.name
