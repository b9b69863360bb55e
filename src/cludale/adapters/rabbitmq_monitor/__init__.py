"""What RabbitMQ says of itself over HTTP (`rabbitmq_management`): how many messages wait for whom. Read only."""
