// What can't be made again may not be deleted: not by a slip, not by the pipeline. A template of its own, for its own
// hands: an Owner puts and takes locks, and the pipeline's roles may do neither (docs/run/people.md).
targetScope = 'resourceGroup'

@description('The store.')
param cosmosName string

@description('The vault.')
param keyVaultName string

@description('The broker: events on their way, and dead letters, are in it.')
param serviceBusName string

@description('The registry: without it no replica starts.')
param registryName string

@description('The account that keeps the exported audit log; empty where there is none.')
param auditArchiveName string = ''

var why = 'Delete nothing here. docs/run/people.md says who may take the lock off.'

resource store 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: cosmosName
}

resource storeLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'kept'
  scope: store
  properties: {
    level: 'CanNotDelete'
    notes: why
  }
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: keyVaultName
}

resource vaultLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'kept'
  scope: vault
  properties: {
    level: 'CanNotDelete'
    notes: why
  }
}

resource broker 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: serviceBusName
}

resource brokerLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'kept'
  scope: broker
  properties: {
    level: 'CanNotDelete'
    notes: why
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource registryLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'kept'
  scope: registry
  properties: {
    level: 'CanNotDelete'
    notes: why
  }
}

resource archive 'Microsoft.Storage/storageAccounts@2026-09-01' existing = if (!empty(auditArchiveName)) {
  name: auditArchiveName
}

resource archiveLock 'Microsoft.Authorization/locks@2020-05-01' = if (!empty(auditArchiveName)) {
  name: 'kept'
  scope: archive
  properties: {
    level: 'CanNotDelete'
    notes: why
  }
}
